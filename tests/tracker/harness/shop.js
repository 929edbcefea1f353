/**
 * The site that is visited. The first part of a path is the case, whose tag all its pages have. Pages tell their `pageshow`
 * events, which of a page from the back/forward cache nobody else could.
 */
import { createServer } from 'node:http'
import { listen } from './listen.js'

const page = (tag, path, port) => `<!doctype html>
<title>Shop ${path}</title>
<script>
  window.meridian = window.meridian || function () { (meridian.q = meridian.q || []).push(arguments) }
  addEventListener('pageshow', (event) => {
    navigator.sendBeacon('/shown', location.pathname + ' ' + event.persisted)
  })
</script>
${tag}
<h1>${path}</h1>
<a id="cart" href="cart">Cart</a>
<a id="elsewhere" href="http://localhost:${port}/elsewhere">Another host</a>
<a id="price-list" href="/files/prices.pdf">Price list</a>
<button id="signup" data-meridian-event="signup" data-meridian-plan-name="pro">Sign up</button>
<form id="search" name="find" action="found" onsubmit="return false"><input name="id"><button id="find">Find</button></form>
<div style="height: 4000px"></div>
`

export const startShop = async () => {
  /** The tracker's tag, by case. */
  const tags = new Map()
  /** What pages told: path and whether it came from the back/forward cache. */
  const shown = []

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://shop')
    if (pathname === '/shown') {
      for await (const text of request) shown.push(String(text))
      response.writeHead(204).end()
    } else if (pathname.endsWith('.pdf')) {
      response.writeHead(200, { 'content-type': 'application/pdf', 'content-disposition': 'attachment' }).end('%PDF-')
    } else {
      const status = pathname.endsWith('/missing') ? 404 : 200
      const tag = tags.get(pathname.split('/')[1]) ?? ''
      response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' })
      response.end(page(tag, pathname, server.address().port))
    }
  })
  const { port, stop } = await listen(server)
  return { origin: `http://127.0.0.1:${port}`, tags, shown, stop }
}
