import { rowSecurityContract } from './row-security-contract.ts'

rowSecurityContract('row-level security on the built-in database', async () => ({ drop: async () => undefined }))
