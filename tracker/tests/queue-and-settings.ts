/** The queue with the settings that it reads, as one bundle. */
export * from '../src/queue'
export { settings } from '../src/settings'
