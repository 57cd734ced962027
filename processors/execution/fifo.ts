/** First in, first out, in amortised constant time; plain data, so a snapshot keeps it as it is. */

export type Fifo<Item> = { items: Item[]; head: number }

export const emptyFifo = <Item>(): Fifo<Item> => ({ items: [], head: 0 })
export const fifoSize = <Item>(fifo: Fifo<Item>): number => fifo.items.length - fifo.head
/** The item `index` places behind the first; undefined past the end. */
export const fifoAt = <Item>(fifo: Fifo<Item>, index: number): Item | undefined => fifo.items[fifo.head + index]

export function push<Item>(fifo: Fifo<Item>, item: Item): void {
  fifo.items.push(item)
}

export function shift<Item>(fifo: Fifo<Item>): Item | undefined {
  const item = fifo.items[fifo.head]
  if (fifo.head < fifo.items.length) fifo.head += 1
  if (fifo.head > 1_000 && fifo.head * 2 > fifo.items.length) {
    fifo.items = fifo.items.slice(fifo.head)
    fifo.head = 0
  }
  return item
}
