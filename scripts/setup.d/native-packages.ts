/**
 * Ends with status 1 and names them if packages are missing that the lock file has for this very platform: the Node
 * binary and the native halves of vitest, TypeScript, Biome and oxlint. All are optional to npm, so it may leave them
 * out without a word.
 */
import { existsSync, readFileSync } from 'node:fs';
import { arch, platform } from 'node:process';

type Package = { os?: string | string[]; cpu?: string | string[]; libc?: string | string[] };

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Package> };
const missing = Object.entries(lock.packages)
  .filter(([, { os, cpu }]) => os?.includes(platform) && cpu?.includes(arch))
  // The pinned Node itself needs glibc.
  .filter(([, { libc }]) => libc === undefined || libc.includes('glibc'))
  // oxlint marks no libc: its musl half goes by its name.
  .filter(([path]) => !/-musl\w*$/.test(path))
  .map(([path]) => path)
  .filter((path) => !existsSync(path));

if (missing.length > 0) {
  console.error(`missing: ${missing.join(', ')}`);
  process.exitCode = 1;
}
