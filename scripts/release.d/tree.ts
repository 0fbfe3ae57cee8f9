import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { billOfMaterials } from './bill-of-materials.ts';
import { type Bundle, bundle } from './bundle.ts';
import { listInput, type ReleasePath, readInput } from './inputs.ts';

/** Where the files of `systemd/` go, by the end of their names. */
const systemdFolders: Readonly<Record<string, string>> = {
  '.service': 'usr/lib/systemd/system',
  '.timer': 'usr/lib/systemd/system',
  '.sysusers': 'usr/lib/sysusers.d',
  '.tmpfiles': 'usr/lib/tmpfiles.d',
};

export interface Tree {
  folder: string;
  version: string;
  /** As Debian and the kernel's documentation name it. */
  architecture: 'amd64' | 'arm64';
  bundle: Bundle;
}

/**
 * Lays down the files of an installation below `folder`, which must not exist: those that are named here and no others. What is
 * generated comes from the bundle itself, run by the Node that it ships with.
 */
export async function layTree(checkout: string, folder: string): Promise<Tree> {
  const own = (path: ReleasePath): string => readInput(checkout, path);
  const { version } = JSON.parse(own('package.json')) as { version: string };
  const put = (path: string, content: string | Uint8Array, mode = 0o644): void => {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    writeFileSync(target, content);
    // Whatever the umask is.
    chmodSync(target, mode);
  };

  const node = realpathSync(join(checkout, 'node_modules/.bin/node'));
  mkdirSync(join(folder, 'opt/rlnet/bin'), { recursive: true, mode: 0o755 });
  cpSync(node, join(folder, 'opt/rlnet/bin/node'));
  chmodSync(join(folder, 'opt/rlnet/bin/node'), 0o755);

  const made = await bundle(checkout);
  for (const { name, content } of made.files) put(`opt/rlnet/lib/${name}`, content);
  const imports = { '#inventory-probe': './lib/inventory-probe.js' };
  put(
    'opt/rlnet/package.json',
    `${JSON.stringify({ name: 'rlnet', version, type: 'module', imports }, undefined, 2)}\n`,
  );
  put('opt/rlnet/sbom.cdx.json', billOfMaterials(version, made.packages, versionsOf(node)));
  put('opt/rlnet/licences/rlnet.txt', own('LICENSE'));
  put('opt/rlnet/licences/node.txt', readFileSync(join(dirname(node), '../LICENSE')));
  for (const one of made.packages)
    put(`opt/rlnet/licences/${one.name.replace('/', '+')}-${one.version}.txt`, one.licenceText);

  put('usr/bin/rlnet', own('packaging/rlnet'), 0o755);
  for (const name of listInput(checkout, 'systemd')) {
    const kind = extname(name);
    const target = systemdFolders[kind];
    if (target === undefined) throw new Error(`systemd/${name}: nobody has said where it is installed.`);
    const configuration = kind === '.sysusers' || kind === '.tmpfiles';
    put(`${target}/${configuration ? `${basename(name, kind)}.conf` : name}`, own(`systemd/${name}`));
  }
  put('usr/lib/firewalld/services/rlnet.xml', own('packaging/firewalld.xml'));
  put('usr/share/rlnet/agent.yaml', own('packaging/agent.yaml'));
  put('usr/share/rlnet/prometheus.rules.yaml', own('packaging/prometheus/rlnet.rules.yaml'));
  put('usr/share/doc/rlnet/copyright', own('packaging/debian/copyright'));
  put('usr/share/doc/rlnet/cluster.schema.json', own('docs/cluster.schema.json'));
  for (const name of listInput(checkout, 'docs/examples'))
    put(`usr/share/doc/rlnet/examples/${name}`, own(`docs/examples/${name}`), 0o755);

  const print = (...words: string[]): string =>
    execFileSync(join(folder, 'opt/rlnet/bin/node'), [join(folder, 'opt/rlnet/lib/rlnet.js'), ...words], {
      encoding: 'utf8',
    });
  put('usr/share/bash-completion/completions/rlnet', print('completion', 'bash'));
  put('usr/share/zsh/vendor-completions/_rlnet', print('completion', 'zsh'));
  put('usr/share/man/man1/rlnet.1.gz', gzipSync(print('man-page'), { level: 9 }));
  return { folder, version, architecture: architectureOf(process.arch), bundle: made };
}

function versionsOf(node: string): Record<string, string> {
  const printed = execFileSync(node, ['--print', 'JSON.stringify(process.versions)'], { encoding: 'utf8' });
  return JSON.parse(printed) as Record<string, string>;
}

function architectureOf(arch: string): Tree['architecture'] {
  if (arch === 'x64') return 'amd64';
  if (arch === 'arm64') return 'arm64';
  throw new Error(`There is no release for ${arch}.`);
}
