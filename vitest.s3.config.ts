/** The tests that need object storage: a server that speaks S3's protocol (moto, from PyPI). */
import { suiteOn } from './tests/machine/vitest-config.ts'

export default suiteOn('**/*.s3.test.ts', 'tests/s3/start-s3.ts')
