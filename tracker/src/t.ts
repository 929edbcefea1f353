/** The small script, `t.js`: what is on by default. */
import { main } from './main'

main()
