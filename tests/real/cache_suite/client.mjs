// The suite's client: `node client.mjs SUITE BASE REPORT [ID...]`.
//
// Puts the cache at BASE to all tests, or to those named alone, and writes REPORT: a list with an object for each test.

import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [suite, base, report, ...ids] = process.argv.slice(2)
const load = (...names) => import(pathToFileURL(path.join(suite, ...names)))
const fetch = createRequire(path.join(suite, 'package.json'))('node-fetch')

setTimeout(() => process.exit(3), 150_000).unref() // whoever started us may be gone

const { default: groups } = await load('tests', 'index.mjs')
const { getResults, runTests } = await load('client', 'runner.mjs')
const wanted = groups.map(group => ({
  ...group,
  tests: group.tests.filter(test => ids.length === 0 || ids.includes(test.id))
}))
await runTests(wanted, fetch, false, base)

const results = getResults()
const told = wanted.flatMap(group => group.tests.map(test => ({
  id: test.id,
  name: test.name,
  group: group.id,
  title: group.name,
  kind: test.kind ?? 'required',
  depends_on: test.depends_on ?? [],
  browser_only: test.browser_only === true,
  result: results[test.id] ?? null
})))
fs.writeFileSync(report, JSON.stringify(told))
process.exit(0)
