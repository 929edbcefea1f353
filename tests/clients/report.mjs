// What the drivers for Node share: the scenario, the arguments, and the lines they print.
//
// A driver is run as `node FILE BASE_URL ID [SECRET]`. It prints one JSON line for each step and
// exits 1 when the client reported a failure; what the server made of the hits is not its business.
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

const here = (name) => new URL(name, import.meta.url)
const readJson = (name) => JSON.parse(readFileSync(here(name), 'utf8'))

export const scenario = readJson('scenario.json')
export const [baseUrl, id, secret] = process.argv.slice(2)
if (!id) {
  console.error(`usage: node ${process.argv[1]} BASE_URL ID [SECRET]`)
  process.exit(2)
}

// No step takes longer, unless the client tries again and again without an end.
const STEP_TIMEOUT_MS = Number(process.env.STEP_TIMEOUT_MS ?? 15_000)

export function reporter(client) {
  const { version } = readJson(`node_modules/${client}/package.json`)

  // `send` returns or resolves to what the client reported; it throws or rejects when that is a failure.
  return async function step(name, send) {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('no answer in time')), STEP_TIMEOUT_MS)
    })
    const line = { client, version, step: name, delivered: true, answer: null }
    try {
      line.answer = short(await Promise.race([send(), late]))
    } catch (error) {
      line.delivered = false
      line.answer = short(error)
      process.exitCode = 1
    }
    clearTimeout(timer)
    console.log(JSON.stringify(line))
  }
}

// For responses as of fetch: a status that is not 2xx is a failure.
export async function checked(response) {
  const text = `${response.status} ${await response.text()}`
  if (!response.ok) throw new Error(text)
  return text
}

// The status of the next answer that Node's own HTTP client gets, for clients that keep it to themselves.
export function nextAnswer() {
  const channel = 'http.client.response.finish'
  return new Promise((resolve, reject) => {
    const finished = ({ response }) => {
      diagnostics.unsubscribe(channel, finished)
      const { statusCode } = response
      if (statusCode >= 400) reject(new Error(`${statusCode}`))
      else resolve(statusCode)
    }
    diagnostics.subscribe(channel, finished)
  })
}

export async function nextEvent(emitter, name) {
  const [value] = await once(emitter, name)
  return value
}

function short(answer) {
  const text = answer instanceof Error ? `${answer.name}: ${answer.message}` : answer
  return typeof text === 'string' ? text.slice(0, 200) : (text ?? null)
}
