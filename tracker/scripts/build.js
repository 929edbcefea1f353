/**
 * Bundles the two scripts into dist/, each with one placeholder that the server replaces with the property's settings.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { minify } from 'terser'
import { PLACEHOLDER } from './placeholder.js'

/** Browsers since the spring of 2021. */
const TARGET = ['chrome91', 'edge91', 'firefox90', 'safari14.1']
/** esbuild's own minifier leaves the small script 7 % larger. */
const TERSER = { ecma: 2020, compress: { ecma: 2020, passes: 3, unsafe_arrows: true }, mangle: true }

const bundle = async (name, entry, isFull) => {
  const { outputFiles } = await build({
    absWorkingDir: new URL('..', import.meta.url).pathname,
    entryPoints: [entry],
    bundle: true,
    format: 'iife',
    target: TARGET,
    define: { FULL: String(isFull) },
    write: false
  })
  const { code } = await minify(outputFiles[0].text, TERSER)
  const parts = code.split('MERIDIAN_SETTINGS')
  if (parts.length !== 2) throw new Error(`${name} must name the settings once, not ${parts.length - 1} times`)
  await writeFile(new URL(`../dist/${name}`, import.meta.url), parts.join(PLACEHOLDER) + '\n')
}

await mkdir(new URL('../dist/', import.meta.url), { recursive: true })
await bundle('t.js', 'src/t.ts', false)
await bundle('t.full.js', 'src/t.full.ts', true)
