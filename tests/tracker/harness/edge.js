/**
 * What stands before the edge: passes scripts and hits on, keeps a copy of the hits, and has the troubles that a test asks for.
 *
 * Without a Meridian behind it, it takes the hits itself, and puts the settings into the scripts.
 */
import { createServer, request as httpRequest } from 'node:http'
import { readFile } from 'node:fs/promises'
import { listen } from './listen.js'

const SCRIPTS = new URL('../../../tracker/dist/', import.meta.url)
const PLACEHOLDER = '{/*meridian-settings*/}'
const CORS = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'Retry-After' }

const readBody = async (request) => {
  const parts = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}

/** Answers with the script that Meridian serves at this path. */
const passScriptOn = (collect, { url, headers }, response) =>
  new Promise((resolve, reject) => {
    const onward = httpRequest(collect + url, { headers: { ...headers, host: new URL(collect).host } }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
      answer.on('end', resolve)
    })
    onward.on('error', reject)
    onward.end()
  })

/** Posts to Meridian as this address; gives its status. */
const passOn = (collect, headers, body, address) =>
  new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      headers: {
        'content-type': headers['content-type'],
        'user-agent': headers['user-agent'],
        'x-forwarded-for': address,
        'content-length': body.length
      }
    }
    const onward = httpRequest(`${collect}/v1/collect`, options, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode))
    })
    onward.on('error', reject)
    onward.end(body)
  })

/** One property as this edge knows it. */
const newSite = (address) => ({
  /** Each visitor of a test comes from here. */
  address,
  /** What is put into `/t/ID.js`, and which script that is. */
  settings: {},
  script: 't.js',
  /** What came, whether it was taken or not: hits, and how they were answered. */
  requests: [],
  /** Given before anything else, one for each request: a status, and whether the hits were taken all the same. */
  troubles: [],
  /** While set, answers wait for it. */
  gate: undefined
})

export const startEdge = async (meridian) => {
  const sites = new Map()
  const faults = []

  const serveScript = async (request, response, pathname) => {
    if (meridian) return passScriptOn(meridian.collect, request, response)
    const site = sites.get(/^\/t\/([^/]+)\.js$/.exec(pathname)?.[1])
    const name = site?.script ?? pathname.slice(1)
    const script = await readFile(new URL(name, SCRIPTS), 'utf8')
    response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' })
    response.end(script.replace(PLACEHOLDER, () => JSON.stringify(site?.settings ?? {})))
  }

  const collect = async (request, response) => {
    const body = await readBody(request)
    const { measurement_id: id, hits } = JSON.parse(body)
    const site = sites.get(id)
    const trouble = site.troubles.shift()
    const seen = { hits, isPassedOn: false, status: undefined, type: request.headers['content-type'] }
    site.requests.push(seen)
    let status = 204
    if (meridian && (!trouble || trouble.isTaken)) {
      status = await passOn(meridian.collect, request.headers, body, site.address)
      if (status !== 204) faults.push(`Meridian answered ${status} to ${body}`)
    }
    seen.isPassedOn = true
    await site.gate
    seen.status = trouble?.status ?? status
    response.writeHead(seen.status, { ...CORS, ...(trouble && { 'retry-after': '1' }) }).end()
  }

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://edge')
    const answer =
      pathname === '/v1/collect' ? collect(request, response) : serveScript(request, response, pathname)
    answer.catch((error) => {
      faults.push(String(error))
      response.destroy()
    })
  })
  const { port, stop } = await listen(server)

  return {
    origin: `http://127.0.0.1:${port}`,
    addSite: (measurementId) => {
      const site = newSite(`198.51.100.${sites.size + 1}`)
      sites.set(measurementId, site)
      return site
    },
    /** What must not have happened. */
    faults,
    stop
  }
}
