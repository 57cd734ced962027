/**
 * An archive in S3-compatible object storage. The server must honour `If-None-Match: *` on a put, as S3, MinIO, Ceph and
 * R2 do: that is what keeps two writers from replacing each other's files.
 */
import { Agent } from 'node:https'
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { isFailure, PlatformError } from '../errors.ts'
import { isSafeUrl } from '../safe-url.ts'
import { type ArchiveStore, checkedName, tooLarge } from './archive-store.ts'

export type S3Options = {
  bucket: string
  /** Ends with `/`, or is empty. */
  prefix: string
  /** Of another server than AWS: https, or http on loopback. */
  endpoint?: string | undefined
  /** `https://server/bucket/name` instead of `https://bucket.server/name`. */
  isPathStyle?: boolean
  /** Used where the SDK's usual places (AWS_REGION, profile) name none; servers other than AWS mostly ignore it. */
  region?: string | undefined
  /** Without them, from the SDK's usual places: environment, profile, role of the machine. */
  credentials?: { accessKeyId: string; secretAccessKey: string }
}

const connectMsMax = 10_000
const requestMsMax = 60_000
const attemptsMax = 4
const socketsMax = 8
const pageNamesMax = 1_000

/** Connects to nothing yet. Throws ARCHIVE_UNAVAILABLE for an endpoint that would carry the archive in clear text. */
export function s3Store(options: S3Options): ArchiveStore {
  const { bucket, prefix, endpoint, isPathStyle = false, region, credentials } = options
  const place = `s3://${bucket}/${prefix}`
  if (endpoint !== undefined && !isSafeUrl(endpoint))
    throw new PlatformError('ARCHIVE_UNAVAILABLE', {
      place,
      problem: 'the endpoint must be https, or http on loopback',
    })
  const client = new S3Client({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(credentials && { credentials }),
    forcePathStyle: isPathStyle,
    followRegionRedirects: endpoint === undefined,
    // Checksums that not every S3-compatible server knows; the manifest has its own, and the signature covers the body.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: attemptsMax,
    requestHandler: {
      connectionTimeout: connectMsMax,
      requestTimeout: requestMsMax,
      httpsAgent: new Agent({ keepAlive: true, maxSockets: socketsMax, minVersion: 'TLSv1.3' }),
    },
  })
  const failed = (error: unknown): PlatformError =>
    isFailure(error)
      ? error
      : new PlatformError('ARCHIVE_UNAVAILABLE', { place, problem: String(error) }, { cause: error })

  async function put(name: string, content: Uint8Array): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: prefix + name, Body: content, IfNoneMatch: '*' }))
        return true
      } catch (error) {
        if (statusOf(error) === 412) return false
        // 409: another writer is at it this moment; S3 asks to try again.
        if (statusOf(error) !== 409 || attempt >= attemptsMax) throw failed(error)
      }
    }
  }

  return {
    place,
    putIfAbsent: async (name, content) => put(checkedName(name), content),
    async get(name, bytesMax) {
      checkedName(name)
      try {
        const { Body, ContentLength } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: prefix + name }))
        const chunks: Uint8Array[] = []
        let bytes = 0
        if (Body === undefined) return new Uint8Array()
        const refuse = (size: number) => {
          if ('destroy' in Body) Body.destroy()
          throw tooLarge(place, name, size, bytesMax)
        }
        if ((ContentLength ?? 0) > bytesMax) refuse(ContentLength ?? 0)
        for await (const chunk of Body as AsyncIterable<Uint8Array>) {
          bytes += chunk.length
          if (bytes > bytesMax) refuse(bytes)
          chunks.push(chunk)
        }
        return Buffer.concat(chunks, bytes)
      } catch (error) {
        if (error instanceof Error && error.name === 'NoSuchKey') return undefined
        throw failed(error)
      }
    },
    async *list(listed, after) {
      let token: string | undefined
      do {
        const page = await client
          .send(
            new ListObjectsV2Command({
              Bucket: bucket,
              Prefix: prefix + listed,
              MaxKeys: pageNamesMax,
              ...(token !== undefined ? { ContinuationToken: token } : {}),
              ...(token === undefined && after !== undefined ? { StartAfter: prefix + after } : {}),
            }),
          )
          .catch((error: unknown) => {
            throw failed(error)
          })
        for (const { Key, Size } of page.Contents ?? [])
          if (Key !== undefined) yield { name: Key.slice(prefix.length), bytes: Size ?? 0 }
        token = page.IsTruncated ? page.NextContinuationToken : undefined
      } while (token !== undefined)
    },
    close: async () => client.destroy(),
  }
}

const statusOf = (error: unknown): number | undefined => {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined
  return (error.$metadata as { httpStatusCode?: number }).httpStatusCode
}
