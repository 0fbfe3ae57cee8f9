import { errnoOf, RlnetError } from '../protocol/errors.ts';
import type { HostsJudgement, HostsMend } from '../protocol/hosts-file.ts';
import { rewrittenByCloudInit } from './cloud-init.ts';
import { addLocalhostIpv6, type HostsEdit } from './hosts-edit.ts';
import { judgeHosts } from './hosts-syntax.ts';
import type { FileEditor } from './ports/file-editor.ts';
import type { Files } from './ports/files.ts';
import type { HostsFile } from './ports/hosts-file.ts';

/** The longest line that is shown to people, in characters. */
const longestShown = 200;

/** A hosts file of our own making, where there was none. */
const mode = 0o644;

/** The hosts file at `path`, and what cloud-init, configured below `cloud`, does with it. */
export function createHostsFile(
  files: Files,
  editor: FileEditor,
  path = '/etc/hosts',
  cloud = '/etc/cloud',
): HostsFile {
  const judge = async (): Promise<HostsJudgement> => {
    try {
      const text = await files.readIfExists(path);
      if (text === undefined) return { localhostIpv6: 'missing', evidence: `${path} does not exist` };
      return judgeHosts(text);
    } catch (thrown) {
      const errno = errnoOf(thrown);
      if (errno === undefined) throw thrown;
      return { localhostIpv6: 'unknown', evidence: `${path} cannot be read (${errno})` };
    }
  };

  const cloudConfigs = async (): Promise<{ file: string; text: string }[]> => {
    const names = (await files.list(`${cloud}/cloud.cfg.d`)).filter((name) => name.endsWith('.cfg')).sort();
    const paths = [`${cloud}/cloud.cfg`, ...names.map((name) => `${cloud}/cloud.cfg.d/${name}`)];
    return await Promise.all(
      paths.map(async (file) => ({ file, text: (await files.readIfExists(file)) ?? '' })),
    );
  };

  const create = async (): Promise<HostsMend> => {
    const edit = addLocalhostIpv6('');
    if (edit === undefined) throw new Error('an empty hosts file has no localhost');
    try {
      await files.create(path, edit.text, mode);
    } catch (thrown) {
      const errno = errnoOf(thrown);
      if (errno === undefined) throw thrown;
      throw notReadable(path, errno, thrown);
    }
    return { change: { file: path, how: 'created', ...shown(edit) } };
  };

  const mendOnce = async (): Promise<HostsMend> => {
    const bytes = await readBytes(files, path);
    if (bytes === undefined) return await create();
    const text = Buffer.from(bytes).toString('latin1');
    const note = rewrittenByCloudInit(text, await cloudConfigs());
    const noted = note === undefined ? {} : { note };
    const edit = addLocalhostIpv6(text);
    if (edit === undefined) return noted;
    const replaced = await editor.replace(path, bytes, Buffer.from(edit.text, 'latin1'));
    return { change: { ...replaced, ...shown(edit) }, ...noted };
  };

  // One at a time: the second finds what the first has done.
  let last: Promise<unknown> = Promise.resolve();

  return {
    judge,
    async mend() {
      const mended = last.then(async () => {
        const outcome = await mendOnce();
        const { localhostIpv6, evidence } = await judge();
        if (localhostIpv6 !== 'present') {
          throw new RlnetError(
            'FILE_CHANGED',
            `${path} was written, and does not map ::1 to localhost now: ${evidence}.`,
            'Find out who else writes it, and try again.',
          );
        }
        return outcome;
      });
      last = mended.catch(() => {});
      return await mended;
    },
    watch: (onHint) => files.watch(path, onHint),
  };
}

/** @returns undefined where there is no such file */
async function readBytes(files: Files, path: string): Promise<Uint8Array | undefined> {
  try {
    return await files.readBytes(path);
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT') return undefined;
    if (errno === undefined) throw thrown;
    throw notReadable(path, errno, thrown);
  }
}

function notReadable(path: string, errno: string, cause: unknown): RlnetError {
  return new RlnetError(
    'FILE_NOT_EDITABLE',
    `${path} can be neither read nor created (${errno}). It is as it was.`,
    `See what is there (ls -l ${path}), and put a file there.`,
    { cause },
  );
}

/** The changed line for people: as UTF-8, and not longer than they would read. */
function shown({ line, before, after }: HostsEdit): { line: number; before?: string; after: string } {
  const forPeople = (latin1: string): string => {
    const text = Buffer.from(latin1, 'latin1').toString('utf8');
    return text.length <= longestShown ? text : `${text.slice(0, longestShown)}…`;
  };
  return { line, ...(before === undefined ? {} : { before: forPeople(before) }), after: forPeople(after) };
}
