/** What of the image can be known without a Docker engine: stages, user, what goes into it, and its health check, which is run. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Copy, DockerfileParser, type From, type Instruction } from 'dockerfile-ast'
import { describe, expect, onTestFinished, test } from 'vitest'
import { nodeFlags } from '../../bin/demo/service-process.ts'
import { makeCertificate } from '../transport/certificate.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const dockerfile = DockerfileParser.parse(read('Dockerfile'))
const instructions = dockerfile.getInstructions()
const froms: From[] = dockerfile.getFROMs()

/** Instructions of a kind in the last stage, which is what the image is. */
const lastStageFrom = froms.at(-1)?.getRange()?.start.line ?? 0
const inImage = (keyword: string): Instruction[] =>
  instructions.filter((each) => each.getKeyword() === keyword && each.getRange().start.line > lastStageFrom)
const argumentsOf = (each: Instruction | undefined): string[] => each?.getArguments().map((one) => one.getValue()) ?? []
const json = (each: Instruction | undefined): unknown => JSON.parse(each?.getArgumentsContent() ?? 'null')
const secretName = /PASSWORD|TOKEN|SECRET|KEY|CREDENTIAL/i

/** What is copied from the directory of the build, not from another stage. */
const copied = dockerfile.getCOPYs().filter((copy: Copy) => copy.getFromFlag() === null)
const sources = copied.flatMap((copy) => argumentsOf(copy).slice(0, -1))

describe('the image', () => {
  test('has every instruction where it belongs, and knows them all', () => {
    const known = 'FROM WORKDIR COPY RUN ENV USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT CMD'.split(' ')
    expect([...new Set(instructions.map((each) => each.getKeyword()))].sort()).toEqual([...known].sort())
    for (const kind of ['USER', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD']) expect(inImage(kind).length, kind).toBe(1)
  })

  test('is made in stages, on the Node.js that package-lock.json pins', () => {
    const { version } = JSON.parse(read('package-lock.json')).packages['node_modules/node'] as { version: string }
    expect(froms.length).toBeGreaterThan(1)
    for (const from of froms) expect(from.getImage()).toBe(`node:${version}-bookworm-slim`)
    const stages = froms.map((from) => from.getBuildStage()).filter((stage) => stage !== null)
    for (const copy of dockerfile.getCOPYs()) {
      const stage = copy.getFromFlag()?.getValue()
      if (stage !== undefined) expect(stages).toContain(stage)
    }
  })

  test('runs as somebody who is not root, from the last instruction that matters on', () => {
    const [user] = inImage('USER')
    expect(user?.getArgumentsContent()).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    for (const kind of ['RUN', 'COPY'])
      for (const each of inImage(kind))
        expect(each.getRange().start.line).toBeLessThan(user?.getRange().start.line ?? 0)
  })

  test('has the data directory as its volume, and the user may write there', () => {
    const [dataDir] = inImage('ENV')
      .flatMap((each) => argumentsOf(each))
      .filter((pair) => pair.startsWith('PF3_DATA_DIR='))
    const place = dataDir?.split('=')[1]
    expect(json(inImage('VOLUME')[0])).toEqual([place])
    const made = inImage('RUN')
      .map((each) => each.getArgumentsContent())
      .join('\n')
    const [uid] = inImage('USER')[0]?.getArgumentsContent()?.split(':') ?? []
    expect(made).toMatch(new RegExp(`install -d -o ${uid} -g ${uid} -m 0700 .*${place}\\b`))
  })

  test('installs by the lock file, without what is for development and without scripts of packages', () => {
    const installs = instructions.filter((each) => /\bnpm\b/.test(each.getArgumentsContent() ?? ''))
    expect(installs.length).toBe(1)
    expect(installs[0]?.getArgumentsContent()).toMatch(/^npm ci --omit=dev --ignore-scripts\b/)
    // The script of our own that is left out with them is run by itself.
    const { postinstall } = JSON.parse(read('package.json')).scripts as { postinstall: string }
    expect(
      instructions.some((each) => each.getKeyword() === 'RUN' && each.getArgumentsContent()?.startsWith(postinstall)),
    ).toBe(true)
  })

  test('holds no secret, and takes none while it is built', () => {
    expect(dockerfile.getARGs()).toEqual([])
    for (const env of dockerfile.getENVs())
      for (const property of env.getProperties()) expect(property.getName()).not.toMatch(secretName)
    for (const each of instructions)
      expect(each.getArgumentsContent() ?? '').not.toMatch(/pf3_[\w-]{20}|BEGIN [A-Z ]*KEY|:\/\/[^/\s]*:[^/\s]*@/)
  })

  test('starts the service', () => {
    expect(json(inImage('ENTRYPOINT')[0])).toEqual(['node', ...nodeFlags, 'bin/pf3.ts'])
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    expect(scripts['start'], 'npm start says the same').toBe(`node ${nodeFlags.join(' ')} bin/pf3.ts start`)
    expect(scripts['pf3']).toBe(`node ${nodeFlags.join(' ')} bin/pf3.ts`)
    expect(json(inImage('CMD')[0])).toEqual(['start'])
  })
})

describe('what goes into it', () => {
  const lines = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  const letIn = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1))

  test('is what is named, and everything that is named is there and used', () => {
    expect(lines[0]).toBe('*')
    for (const name of letIn) expect(existsSync(join(root, name)), name).toBe(true)
    const isLetIn = (path: string) =>
      letIn.some((name) => path === name || (path.startsWith(`${name}/`) && !name.startsWith('deploy')))
    expect(sources.filter((source) => !isLetIn(source))).toEqual([])
    expect(letIn.filter((name) => !['deploy', 'deploy/docker'].includes(name) && !sources.includes(name))).toEqual([])
  })

  test('is every room of the product, and nothing that only tests use', () => {
    const notInIt = ['bench', 'deploy', 'docs', 'node_modules', 'samples', 'tests', 'coverage']
    const rooms = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !notInIt.includes(entry.name))
      .map(({ name }) => name)
    expect(rooms.filter((room) => !sources.includes(room))).toEqual([])
    expect(lines).toEqual(expect.arrayContaining(['**/*.test.ts', '**/testing']))
  })
})

describe('its health check', () => {
  const command = inImage('HEALTHCHECK')[0]?.getArgumentsContent() ?? ''
  const [, script = ''] = JSON.parse(command.replace(/^CMD /, '')) as string[]

  test('is a file of the image', () => {
    expect(sources).toContain(script)
  })

  /** Its exit code. */
  const check = (env: Record<string, string>): Promise<number | null> =>
    new Promise((done, failed) => {
      const child = spawn(process.execPath, [join(root, script)], { env, stdio: 'ignore' })
      child.on('error', failed).on('exit', done)
    })

  /** Its port; it answers every path but /healthz with 404. */
  async function listen(server: http.Server | https.Server, status: number): Promise<string> {
    server.on('request', ({ url }: http.IncomingMessage, answer: http.ServerResponse) =>
      answer.writeHead(url === '/healthz' ? status : 404).end('{}'),
    )
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => void server.close())
    return String((server.address() as AddressInfo).port)
  }

  test('is passed while the service says that it lives', async () => {
    expect(await check({ PF3_PORT: await listen(http.createServer(), 200) })).toBe(0)
  })

  test('asks by TLS where the service speaks it, whatever the name in the certificate', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'health-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const certificate = makeCertificate(['pf3.example'])
    const certFile = join(directory, 'tls.crt')
    writeFileSync(certFile, certificate.cert)
    const port = await listen(https.createServer({ ...certificate, minVersion: 'TLSv1.3' }), 200)
    expect(await check({ PF3_PORT: port, PF3_TLS_CERT_FILE: certFile })).toBe(0)
    expect(await check({ PF3_PORT: port })).toBe(1)
  })

  test('fails when the service says otherwise, or nobody is there', async () => {
    expect(await check({ PF3_PORT: await listen(http.createServer(), 503) })).toBe(1)
    const server = http.createServer()
    const port = await listen(server, 200)
    await new Promise((done) => server.close(done))
    expect(await check({ PF3_PORT: port })).toBe(1)
  })
})
