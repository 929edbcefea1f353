/**
 * A whole Meridian in one process, and the commands that people use it with. The binary is named by MERIDIAN_BIN.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { until } from './until.js'

const run = promisify(execFile)
const ANY_PORT = '127.0.0.1:0'
/** Two batches of the edge lie so far apart. */
const FLUSH_INTERVAL_MS = 500

const whenReady = (child) =>
  new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`meridian dev ended with ${code} before it was ready`)))
    createInterface(child.stdout).on('line', (line) => {
      const said = JSON.parse(line)
      if (said.event === 'ready') resolve(said)
    })
  })

/** Starts it with a data directory of its own. */
export const startMeridian = async (binary) => {
  const data = await mkdtemp(join(tmpdir(), 'meridian-tracker-'))
  const args = ['dev', '--data', data, '--http', ANY_PORT, '--grpc', ANY_PORT, '--admin', ANY_PORT]
  args.push('--flush-interval-ms', String(FLUSH_INTERVAL_MS))
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const { collect, grpc, api, admin } = await whenReady(child)
  const env = {
    ...process.env,
    MERIDIAN_COLLECT: collect,
    MERIDIAN_GRPC: grpc,
    MERIDIAN_API: api,
    MERIDIAN_ADMIN: admin,
    MERIDIAN_DATA: data
  }
  const command = async (...words) => {
    const { stdout } = await run(binary, [...words, '--format', 'json'], { env })
    return stdout ? JSON.parse(stdout) : undefined
  }

  return {
    collect,
    createProperty: () => command('property', 'create'),
    /** Sets what the property's script does, and waits until the edge serves it so. */
    setTracker: async ({ property_id: propertyId, measurement_id: measurementId }, settings) => {
      const file = join(data, `${propertyId}.toml`)
      const lines = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
      await writeFile(file, `[tracker]\n${lines.join('')}`)
      await command('property', 'set', '--property', propertyId, '--file', file)
      const parts = Object.entries(settings).map(([name, value]) => `"${name}":${JSON.stringify(value)}`)
      await until('the edge serves the property its settings', async () => {
        const script = await (await fetch(`${collect}/t/${measurementId}.js`)).text()
        return parts.every((part) => script.includes(part))
      })
    },
    /** The rows of a report over yesterday and today: midnight may pass while a test runs. */
    report: async (propertyId, metrics, dimensions) => {
      await command('status', '--wait', '--timeout', '120')
      const words = ['report', '--property', propertyId, '--from', 'yesterday', '--metrics', metrics]
      if (dimensions) words.push('--dimensions', dimensions)
      const { rows } = await command(...words)
      return rows
    },
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
      await rm(data, { recursive: true, force: true })
    }
  }
}
