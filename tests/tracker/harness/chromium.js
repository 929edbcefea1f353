/**
 * Debian's Chromium. Nothing is downloaded: CHROMIUM names another one.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
/**
 * Its own says HeadlessChrome, which Meridian takes for a bot. Set for the whole browser: what a page sends as it closes would
 * not have the one that playwright gives to a page.
 */
const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
/** As root there is no sandbox; the pages are our own. */
const DRIVEN_ARGS = ['--no-sandbox', '--disable-dev-shm-usage', `--user-agent=${USER_AGENT}`]
/** A person's browser does not say that a program drives it. */
const ARGS = [...DRIVEN_ARGS, '--disable-blink-features=AutomationControlled']

/** A browser with the back/forward cache, which playwright switches off. */
export const launch = (args = ARGS) =>
  chromium.launch({ executablePath, args, ignoreDefaultArgs: ['--disable-back-forward-cache'] })

/** A browser that says to pages that a program drives it. */
export const launchDriven = () => launch(DRIVEN_ARGS)

/**
 * A browser as it is: playwright makes every page believe that it is visible and focused, unless it joins one that runs
 * already and is told to leave it alone.
 */
export const launchPlain = async () => {
  const profile = await mkdtemp(join(tmpdir(), 'meridian-chromium-'))
  const args = [...ARGS, '--headless=new', '--remote-debugging-port=0', `--user-data-dir=${profile}`]
  const child = spawn(executablePath, [...args, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const address = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`Chromium ended with ${code}`)))
    createInterface(child.stderr).on('line', (line) => {
      const found = /^DevTools listening on (\S+)/.exec(line)
      if (found) resolve(found[1])
    })
  })
  const browser = await chromium.connectOverCDP(address, { noDefaults: true })
  return {
    context: browser.contexts()[0],
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      await browser.close()
      child.kill('SIGTERM')
      await ended
      await rm(profile, { recursive: true, force: true })
    }
  }
}
