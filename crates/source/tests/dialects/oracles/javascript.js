// Answers for npm's dotenv, dotenv-expand and dotenvx and for Node's own parser. Arguments: the
// dialect. Each line on standard input is a file in hexadecimal, each line on standard output a
// JSON object or null for a file that is rejected.
'use strict'
const { createInterface } = require('node:readline')
const { mkdtempSync, rmSync } = require('node:fs')
const { parseEnv } = require('node:util')

// Nothing of this process's environment counts, and no file of dotenvx's is near.
const place = mkdtempSync(`${require('node:os').tmpdir()}/envward-oracle-`)
process.on('exit', () => rmSync(place, { recursive: true, force: true }))
const load = name => require(require.resolve(name, { paths: [process.cwd()] }))
const withoutMark = text => text.replace(/^\uFEFF/, '')
const readers = {
  dotenv: () => {
    const { parse } = load('dotenv')
    return text => parse(text)
  },
  'dotenv-expand': () => {
    const { parse } = load('dotenv')
    const { expand } = load('dotenv-expand')
    return text => expand({ parsed: parse(text), processEnv: {} }).parsed
  },
  dotenvx: () => {
    const { parse } = load('@dotenvx/dotenvx')
    return text => parse(text, { processEnv: { PATH: process.env.PATH } })
  },
  node: () => text => parseEnv(text)
}
const read = readers[process.argv[2]]()
process.chdir(place)
createInterface({ input: process.stdin }).on('line', line => {
  let answer = null
  try {
    const text = Buffer.from(line, 'hex').toString('utf8')
    answer = read(process.argv[2] === 'node' ? text : withoutMark(text))
  } catch {}
  process.stdout.write(JSON.stringify(answer) + '\n')
})
