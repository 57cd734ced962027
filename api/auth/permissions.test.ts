/** docs/reference/permissions.md says what the table of routes says: every route, every role, how far it reaches. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Route } from '../route.ts'
import { routeTable } from '../route-table.ts'
import { type Role, roles } from './principal.ts'

const page = join(import.meta.dirname, '../../docs/reference/permissions.md')

function cell({ roles: allowed, reach }: Route, role: Role): string {
  if (!allowed.includes(role)) return '–'
  if (reach === undefined) return 'yes'
  if (role === 'platform-admin') return 'any, with a reason'
  return role === 'tenant-admin' && reach === 'subtree' ? 'own and below' : 'own'
}

function tables(): string {
  const name = ({ method, path }: Route) => `\`${method.toUpperCase()} ${path}\``
  const rows = routeTable
    .filter((route) => route.roles !== 'public')
    .map((route) => `| ${[name(route), ...roles.map((role) => cell(route, role))].join(' | ')} |`)
  const open = routeTable.filter((route) => route.roles === 'public').map((route) => `- ${name(route)}`)
  return [
    `| route | ${roles.map((role) => `\`${role}\``).join(' | ')} |`,
    `| --- | ${roles.map(() => '---').join(' | ')} |`,
    ...rows,
    '',
    'Public:',
    '',
    ...open,
    '',
  ].join('\n')
}

test('the documented permissions are those of the route table (UPDATE_DOCS=1 writes them)', () => {
  const start = '<!-- table -->\n'
  const text = readFileSync(page, 'utf8')
  const wanted = `${text.slice(0, text.indexOf(start) + start.length)}\n${tables()}`
  if (process.env.UPDATE_DOCS === '1') writeFileSync(page, wanted)
  else expect(text).toBe(wanted)
})
