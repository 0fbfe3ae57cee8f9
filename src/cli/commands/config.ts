import type { TlsMaterial } from '../../agent/mesh/transport.ts';
import { decodeSettings, type Settings } from '../../agent/settings.ts';
import { requireTrustworthy } from '../../host/network-owner/hook.ts';
import { parseYamlDocument } from '../../host/yaml.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import { formatIdentity } from '../../protocol/identity.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { loadTlsMaterial } from '../tls-material.ts';

/** `rlnet config check [FILE]`: everything that would keep the agent from starting, without starting it; and whether it would run the hook. */
export async function configCheck(context: Context, file: string, options: { json?: boolean }): Outcome {
  const { settings, tls } = await loadConfiguration(context, file);
  const { hook } = settings.network;
  if (hook !== undefined) await requireTrustworthy(hook);
  const identity = formatIdentity(tls.identity);
  context.print(
    options.json === true
      ? json({ file, identity, settings })
      : `${file} is fine; this host is ${identity}\n`,
  );
  return 0;
}

/**
 * The configuration and the TLS files that it names, checked. `readTls` reads and checks those files once more.
 * @throws RlnetError CONFIG_UNREADABLE, CONFIG_INVALID, TLS_FILE_UNREADABLE, TLS_FILE_INVALID, TLS_IDENTITY_MISMATCH; with file, line and column.
 */
export async function loadConfiguration(
  { files }: Context,
  file: string,
): Promise<{ settings: Settings; tls: TlsMaterial; readTls: () => Promise<TlsMaterial> }> {
  let text: string;
  try {
    text = await files.read(file);
  } catch (thrown) {
    throw new RlnetError(
      'CONFIG_UNREADABLE',
      `The configuration file cannot be read (${errnoOf(thrown) ?? String(thrown)}).`,
      'Create it (docs/configuration.md has one to start from; an empty file means all defaults), or give another with --config.',
      { cause: thrown, at: { file } },
    );
  }
  const document = parseYamlDocument(text, file);
  const settings = decodeSettings(document, file);
  const readTls = () =>
    loadTlsMaterial(files, settings.tls, (setting) => ({ file, ...document.locate(['tls', setting]) }));
  return { settings, tls: await readTls(), readTls };
}
