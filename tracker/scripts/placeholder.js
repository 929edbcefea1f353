/**
 * What stands in both scripts, once, where the server puts the property's settings: an empty object to JavaScript, so that
 * the scripts also run as they are.
 */
export const PLACEHOLDER = '{/*meridian-settings*/}'
