// The suite's origin: `node origin.mjs SUITE`, until its standard input ends.
//
// The first line that it writes says where it listens, at a port that is free.

import path from 'node:path'
import { pathToFileURL } from 'node:url'

const suite = process.argv[2]
const say = console.log
console.log = line => {
  say(line)
  console.log = () => {} // what follows are warnings, which nobody reads
}
process.stdin.on('end', () => process.exit(0)).resume()

process.chdir(suite) // it serves the folder that it stands in to whoever asks
Object.assign(process.env, { npm_config_protocol: 'http', npm_config_port: '0', npm_config_pidfile: '/dev/null' })
await import(pathToFileURL(path.join(suite, 'server', 'server.mjs')))
