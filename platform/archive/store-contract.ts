/** What every archive store must do; run by directory-store.test.ts and s3-store.s3.test.ts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ArchiveStore } from './archive-store.ts'

export type StoreForTest = {
  store: ArchiveStore
  /** A second client of the same place. */
  another: () => ArchiveStore
  close: () => Promise<void>
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text)

export function storeContract(name: string, open: () => Promise<StoreForTest>): void {
  describe(name, () => {
    let opened: StoreForTest
    let store: ArchiveStore
    beforeAll(async () => {
      opened = await open()
      store = opened.store
    })
    afterAll(() => opened.close())

    const namesOf = async (prefix: string, after?: string): Promise<string[]> => {
      const names: string[] = []
      for await (const thing of store.list(prefix, after)) names.push(thing.name)
      return names
    }

    test('a place where nothing was put holds nothing', async () => {
      expect(await namesOf('')).toEqual([])
      expect(await store.get('nothing/here', 10)).toBeUndefined()
    })

    test('what was put is got back, from another client, too', async () => {
      const content = Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, index) => index % 251))
      expect(await store.putIfAbsent('first/big', content)).toBe(true)
      expect(await store.putIfAbsent('first/empty', bytesOf(''))).toBe(true)
      const another = opened.another()
      expect(content.equals((await another.get('first/big', content.length)) ?? bytesOf(''))).toBe(true)
      expect((await another.get('first/empty', 0))?.length).toBe(0)
      await another.close()
    })

    test('what was put stays as it is', async () => {
      expect(await store.putIfAbsent('kept', bytesOf('one'))).toBe(true)
      expect(await store.putIfAbsent('kept', bytesOf('two'))).toBe(false)
      expect(Buffer.from((await store.get('kept', 10)) ?? []).toString()).toBe('one')
    })

    test('of many that put under one name at once exactly one does', async () => {
      const clients = [store, opened.another(), opened.another()]
      const puts = Array.from({ length: 12 }, async (_, index) => {
        const isFirst = await clients[index % clients.length]?.putIfAbsent('race', bytesOf(`by ${index}`))
        return isFirst ? `by ${index}` : undefined
      })
      const winners = (await Promise.all(puts)).filter((text) => text !== undefined)
      expect(winners).toHaveLength(1)
      expect(Buffer.from((await store.get('race', 10)) ?? []).toString()).toBe(winners[0])
      await Promise.all(clients.slice(1).map((client) => client.close()))
    })

    test('what is larger than allowed is refused by name, and not read', async () => {
      await store.putIfAbsent('large', new Uint8Array(2_000))
      await expect(store.get('large', 1_999)).rejects.toMatchObject({
        code: 'ARCHIVE_DAMAGED',
        facts: { file: 'large', problem: 'has 2000 bytes, more than 1999' },
      })
    })

    test('a list is in byte order, by prefix, and goes on after a name, over many pages', async () => {
      const names = ['l/a-1', 'l/a.b', 'l/a/1', 'l/a/2', 'l/a0', 'l/b/c/d', 'la']
      for (const one of names.toReversed()) await store.putIfAbsent(one, bytesOf(one))
      expect(await namesOf('l/')).toEqual(names.slice(0, -1))
      expect(await namesOf('l/a')).toEqual(names.slice(0, 5))
      expect(await namesOf('l/a/')).toEqual(['l/a/1', 'l/a/2'])
      expect(await namesOf('l/', 'l/a/1')).toEqual(['l/a/2', 'l/a0', 'l/b/c/d'])
      expect(await namesOf('l/', 'l/a/2')).toEqual(['l/a0', 'l/b/c/d'])
      expect(await namesOf('none')).toEqual([])
      for (let from = 0; from < 1_100; from += 100)
        await Promise.all(
          Array.from({ length: 100 }, (_, i) =>
            store.putIfAbsent(`pages/${String(from + i).padStart(5, '0')}`, bytesOf('x')),
          ),
        )
      const paged = await namesOf('pages/')
      expect(paged).toHaveLength(1_100)
      expect(paged).toEqual(paged.toSorted())
    })

    test('a name that leads elsewhere is refused', async () => {
      for (const bad of [
        '',
        '/etc/x',
        '../x',
        'a/../b',
        'a//b',
        '.hidden',
        'a/.b',
        'a b',
        'a\u0000',
        'x'.repeat(501),
      ]) {
        await expect(store.putIfAbsent(bad, bytesOf('x'))).rejects.toMatchObject({ code: 'INTERNAL' })
        await expect(store.get(bad, 1)).rejects.toMatchObject({ code: 'INTERNAL' })
      }
    })
  })
}
