import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * All of a checkout that a release is made from, folders and files, beside `node_modules`, which package-lock.json tells. What a
 * build may read, what makes a lab install anew, and what suffices for a build elsewhere is this list.
 */
export const releaseInputs = [
  'LICENSE',
  'docs/cluster.schema.json',
  'docs/examples',
  'package-lock.json',
  'package.json',
  'packaging',
  'scripts/release.d',
  'src',
  'systemd',
  'tsconfig.json',
] as const;

/** A path of a checkout that a build may read: one of these, or one below. */
type Input = (typeof releaseInputs)[number];
export type ReleasePath = Input | `${Input}/${string}`;

/** The text of a file of a checkout. */
export function readInput(checkout: string, path: ReleasePath): string {
  return readFileSync(join(checkout, path), 'utf8');
}

/** The names in a folder of a checkout, in the order of their characters. */
export function listInput(checkout: string, folder: ReleasePath): string[] {
  return readdirSync(join(checkout, folder)).sort();
}

/** For what is found and not named. @throws Error for a path, relative to the checkout, that `releaseInputs` does not hold */
export function requireInput(path: string): void {
  if (releaseInputs.some((input) => path === input || path.startsWith(`${input}/`))) return;
  throw new Error(`${path} is read for a release, and releaseInputs does not name it.`);
}
