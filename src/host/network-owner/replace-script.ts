/** A file that a script replaces, and the name beside the script of the file whose content, mode, owner and times it gets. */
export interface Replacement {
  target: string;
  source: string;
}

/**
 * A shell script that replaces files, whole or not at all as long as no rename fails: each new file is written beside the old one and
 * synced, before the first is renamed. It needs a POSIX shell, cp, stat and sync of coreutils 8.24 or later, and cmp; a file that is as
 * it should be is left alone, so a read-only /etc that was never changed is no obstacle.
 *
 * Labels (SELinux), access control lists and other extended attributes come from the file that is replaced, which had them all along,
 * as the file system of the back-up may not have kept them; mode, owner and times come from the source.
 */
export function replaceScript(replacements: readonly Replacement[]): string {
  const calls = (name: string): string[] =>
    replacements.map(({ source, target }) =>
      [name, source, target, temporaryPath(target)]
        .map((word, index) => (index === 0 ? word : quoted(word)))
        .join(' '),
    );
  return `${[
    '#!/bin/sh',
    '# Made by rlnet. To be run by root: it replaces the files that are named below by those beside this script.',
    'set -eu',
    'umask 077',
    'export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'cd -- "$(dirname -- "$0")"',
    '',
    'attributes() { stat -c "%a %u %g" -- "$1"; }',
    'done_already() { cmp -s -- "$1" "$2" && [ "$(attributes "$1")" = "$(attributes "$2")" ]; }',
    'stage() {',
    '  rm -f -- "$3"',
    '  if done_already "$1" "$2"; then return; fi',
    '  if [ -e "$2" ]; then cp --preserve=all -- "$2" "$3"; else cp --preserve=all -- "$1" "$3"; fi',
    '  cat -- "$1" >"$3"',
    '  chown -- "$(stat -c %u:%g -- "$1")" "$3"',
    '  chmod -- "$(stat -c %a -- "$1")" "$3"',
    '  touch -r "$1" -- "$3"',
    '  sync -- "$3"',
    '}',
    'put() {',
    '  if [ ! -e "$3" ]; then return; fi',
    '  mv -f -- "$3" "$2"',
    '  sync -- "$(dirname -- "$2")"',
    '}',
    'clear() { rm -f -- "$3"; }',
    'finish() {',
    '  status=$?',
    ...calls('clear').map((call) => `  ${call}`),
    '  exit $status',
    '}',
    'trap finish EXIT',
    '',
    ...calls('stage'),
    ...calls('put'),
  ].join('\n')}\n`;
}

/** Beside the file, by a name that no owner reads: hidden, and with an ending that is none of theirs. */
export function temporaryPath(target: string): string {
  const slash = target.lastIndexOf('/') + 1;
  return `${target.slice(0, slash)}.${target.slice(slash)}.rlnet-tmp`;
}

/** One word of a POSIX shell, whatever is in it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
