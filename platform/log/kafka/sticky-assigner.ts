/**
 * Who owns which partitions: everybody keeps what they have as long as the shares stay even. A pure rule and, around it,
 * the plug that kafkajs takes.
 */
import { AssignerProtocol, type PartitionAssigner } from 'kafkajs'

export type Claim = {
  memberId: string
  owned: readonly number[]
  /** Grows with every generation: of two who claim the same partition, the one who joined it last is believed. */
  stamp: number
}

/** Every partition to one member, shares that differ by one at most, and no move that the shares do not ask for. */
export function assignSticky(claims: readonly Claim[], partitionCount: number): Map<string, number[]> {
  const members = [...claims].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
  const shares = new Map<string, number[]>(members.map(({ memberId }) => [memberId, []]))
  if (members.length === 0) return shares
  const least = Math.floor(partitionCount / members.length)
  let larger = partitionCount % members.length

  const believed = new Map<number, Claim>()
  for (const claim of members)
    for (const partition of claim.owned) {
      const other = believed.get(partition)
      if (partition >= 0 && partition < partitionCount && (!other || claim.stamp > other.stamp))
        believed.set(partition, claim)
    }
  // Those with most keep the larger shares, so that fewest partitions move.
  const held = (memberId: string) => [...believed.values()].filter((claim) => claim.memberId === memberId).length
  const byHeld = [...members].sort((a, b) => held(b.memberId) - held(a.memberId))
  const quota = new Map<string, number>()
  for (const { memberId } of byHeld) quota.set(memberId, larger-- > 0 ? least + 1 : least)

  const free: number[] = []
  for (let partition = 0; partition < partitionCount; partition++) {
    const memberId = believed.get(partition)?.memberId
    const share = memberId === undefined ? undefined : shares.get(memberId)
    if (share && share.length < (quota.get(memberId ?? '') ?? 0)) share.push(partition)
    else free.push(partition)
  }
  for (const partition of free) {
    const [memberId] = [...shares].find(([id, share]) => share.length < (quota.get(id) ?? 0)) ?? []
    if (memberId !== undefined) shares.get(memberId)?.push(partition)
  }
  for (const share of shares.values()) share.sort((a, b) => a - b)
  return shares
}

const name = 'pf3-sticky'
const version = 0

/** `current` answers what this process owns now; it is asked at every join. */
export const stickyAssigner =
  (topic: string, partitionCount: number, current: () => Pick<Claim, 'owned' | 'stamp'>): PartitionAssigner =>
  () => ({
    name,
    version,
    protocol: ({ topics }) => ({
      name,
      metadata: AssignerProtocol.MemberMetadata.encode({
        version,
        topics,
        userData: Buffer.from(JSON.stringify(current())),
      }),
    }),
    async assign({ members }) {
      const claims = members.map(({ memberId, memberMetadata }) => ({ memberId, ...claimFrom(memberMetadata) }))
      return [...assignSticky(claims, partitionCount)].map(([memberId, partitions]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version,
          assignment: { [topic]: partitions },
          userData: Buffer.alloc(0),
        }),
      }))
    },
  })

/** Nothing is claimed by who says it in no form we know: an older build, or somebody else. */
function claimFrom(metadata: Buffer): Pick<Claim, 'owned' | 'stamp'> {
  try {
    const said: unknown = JSON.parse(String(AssignerProtocol.MemberMetadata.decode(metadata)?.userData))
    if (typeof said !== 'object' || said === null || !('owned' in said) || !('stamp' in said))
      throw new Error('no claim')
    if (!Array.isArray(said.owned) || typeof said.stamp !== 'number') throw new Error('no claim')
    return { owned: said.owned.filter((one): one is number => Number.isInteger(one)), stamp: said.stamp }
  } catch {
    return { owned: [], stamp: -1 }
  }
}
