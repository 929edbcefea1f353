/** Whether this is the full script. The build knows, and leaves out of the small one what only the full one needs. */
declare const FULL: boolean
/** The property's settings; the build puts the placeholder here that the server replaces. */
declare const MERIDIAN_SETTINGS: object
