import type { BundledPackage } from './bundle.ts';

/**
 * CycloneDX 1.6 of what is shipped: the packages in the bundle, the Node binary, and the libraries that are linked into it as
 * it names them itself. Without serial number and time, so that one commit has one text.
 *
 * @param nodeVersions `process.versions` of the Node binary
 */
export function billOfMaterials(
  version: string,
  packages: readonly BundledPackage[],
  nodeVersions: Readonly<Record<string, string | undefined>>,
): string {
  const { node = '', modules: _abi, napi: _napi, ...linked } = nodeVersions;
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': 'rlnet',
        name: 'rlnet',
        version,
        licenses: [{ license: { id: 'Apache-2.0' } }],
      },
    },
    components: [
      ...packages.map(({ name, version: packageVersion, licence }) => {
        const purl = `pkg:npm/${name.replace('@', '%40')}@${packageVersion}`;
        return {
          type: 'library',
          'bom-ref': purl,
          name,
          version: packageVersion,
          licenses: [/\s/.test(licence) ? { expression: licence } : { license: { id: licence } }],
          purl,
        };
      }),
      {
        type: 'application',
        'bom-ref': `pkg:generic/node@${node}`,
        name: 'node',
        version: node,
        licenses: [{ license: { id: 'MIT' } }],
        purl: `pkg:generic/node@${node}`,
        cpe: `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:*:*:*:*`,
        components: Object.entries(linked)
          .filter(([, libraryVersion]) => libraryVersion !== undefined)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, libraryVersion]) => ({ type: 'library', name, version: libraryVersion })),
      },
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
