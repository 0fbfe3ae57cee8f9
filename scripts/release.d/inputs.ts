import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * All of a checkout that a release is made from, folders and files, beside `node_modules`, which package-lock.json tells. What a
 * build may read, what makes a lab install anew, and what suffices for a build elsewhere is this list.
 */
export const releaseInputs: readonly string[] = [
  'LICENSE',
  'docs/examples',
  'package-lock.json',
  'package.json',
  'packaging',
  'scripts/release.d',
  'src',
  'systemd',
  'tsconfig.json',
];

/** The text of a file of a checkout. @throws Error for one that `releaseInputs` does not hold */
export function readInput(checkout: string, path: string): string {
  requireInput(path);
  return readFileSync(join(checkout, path), 'utf8');
}

/** The names in a folder of a checkout, in the order of their characters. @throws Error as `readInput` */
export function listInput(checkout: string, folder: string): string[] {
  requireInput(folder);
  return readdirSync(join(checkout, folder)).sort();
}

/** @throws Error for a path, relative to the checkout, that `releaseInputs` does not hold */
export function requireInput(path: string): void {
  if (releaseInputs.some((input) => path === input || path.startsWith(`${input}/`))) return;
  throw new Error(`${path} is read for a release, and releaseInputs does not name it.`);
}
