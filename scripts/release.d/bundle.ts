import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { requireInput } from './inputs.ts';

/** A package of npm that went into the bundle, whole or in part. */
export interface BundledPackage {
  name: string;
  version: string;
  /** SPDX, as its package.json has it. */
  licence: string;
  /** The text of its licence file. */
  licenceText: string;
  /** Bytes of the bundle that come from it. */
  bytes: number;
}

export interface Bundle {
  /** By file name, for /opt/rlnet/lib. */
  files: { name: string; content: Uint8Array }[];
  /** By name. */
  packages: BundledPackage[];
  /** Bytes that come from src. */
  ownBytes: number;
}

/** What is run: the command, and the child process that reads the inventory. */
const entryPoints = { rlnet: 'src/cli/main.ts', 'inventory-probe': 'src/host/inventory-probe.ts' };

/** Packages of the CommonJS kind call `require`, which a module of the other kind has to be given. */
const banner =
  "import { createRequire as createRequireOf } from 'node:module'; const require = createRequireOf(import.meta.url);";

/**
 * All of src that ships, with what it needs of node_modules, as a few files. Commands that are loaded when they are called stay in
 * files of their own, so that the agent does not carry what only the command line needs. Names are kept, for the sake of stack traces.
 */
export async function bundle(checkout: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: checkout,
    entryPoints,
    outdir: 'dist',
    entryNames: '[name]',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: banner },
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  for (const input of Object.keys(metafile.inputs))
    if (packageFolder(input) === undefined) requireInput(input);
  const bytes = new Map<string, number>();
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = packageFolder(input) ?? '';
      bytes.set(folder, (bytes.get(folder) ?? 0) + bytesInOutput);
    }
  }
  const ownBytes = bytes.get('') ?? 0;
  bytes.delete('');
  return {
    files: outputFiles.map(({ path, contents }) => ({
      name: path.slice(join(checkout, 'dist/').length),
      content: contents,
    })),
    packages: [...bytes]
      .map(([folder, size]) => ({ ...describePackage(join(checkout, folder)), bytes: size }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    ownBytes,
  };
}

/** `node_modules/a/node_modules/@b/c` of a file inside it; undefined for a file of ours. */
function packageFolder(input: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

function describePackage(folder: string): Omit<BundledPackage, 'bytes'> {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
  };
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (license === undefined || file === undefined)
    throw new Error(`${name} ${version} names no licence, or brings no text of it, and cannot be shipped.`);
  return { name, version, licence: license, licenceText: readFileSync(join(folder, file), 'utf8') };
}
