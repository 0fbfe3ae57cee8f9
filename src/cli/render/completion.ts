import type { CommandTree } from '../command-tree.ts';

/** A command with the words that lead to it, each with a space before: `''`, ` mesh`, ` mesh forget`. */
interface Place {
  path: string;
  command: CommandTree;
}

function placesOf(command: CommandTree, path = ''): Place[] {
  return [{ path, command }, ...command.commands.flatMap((one) => placesOf(one, `${path} ${one.name}`))];
}

/** Everything that can come next at a place, with what it is. Names first, then options. */
function wordsAt({ command }: Place): { word: string; description: string }[] {
  return [
    ...command.commands.map(({ name, description }) => ({ word: name, description })),
    ...command.arguments.flatMap(({ choices }) => choices.map((word) => ({ word, description: '' }))),
    ...command.options.flatMap(({ names, description }) => names.map((word) => ({ word, description }))),
  ];
}

/** After one of these comes a value, which is mostly a path: file names are completed there. */
function valueOptions(places: readonly Place[]): string[] {
  const options = places.flatMap(({ command }) => command.options.filter(({ takesValue }) => takesValue));
  return [...new Set(options.flatMap(({ names }) => names))].sort();
}

/** A file for /usr/share/bash-completion/completions. It asks nothing of the agent, so it answers at once. */
export function renderBash(program: CommandTree): string {
  const places = placesOf(program);
  return `# bash completion for rlnet
_rlnet() {
  local current=\${COMP_WORDS[COMP_CWORD]} at='' word words
  COMPREPLY=()
  case \${COMP_WORDS[COMP_CWORD - 1]} in
${patterns(valueOptions(places))}) return ;;
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
${patterns(places.slice(1).map(({ path }) => path))}) at+=" $word" ;;
    esac
  done
  case $at in
${places
  .map(
    (place) =>
      `    ${quoted(place.path)}) words=${quoted(
        wordsAt(place)
          .map(({ word }) => word)
          .join(' '),
      )} ;;`,
  )
  .join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _rlnet rlnet
`;
}

/** A file for a folder of zsh's $fpath. */
export function renderZsh(program: CommandTree): string {
  const places = placesOf(program);
  const candidate = ({ word, description }: { word: string; description: string }): string =>
    quoted(description === '' ? word : `${word}:${description.replaceAll(':', '\\:')}`);
  return `#compdef rlnet
local at='' word
local -a candidates
case \${words[CURRENT - 1]} in
${patterns(valueOptions(places))}) _files; return ;;
esac
for word in \${words[2,CURRENT - 1]}; do
  case "$at $word" in
${patterns(places.slice(1).map(({ path }) => path))}) at+=" $word" ;;
  esac
done
case $at in
${places
  .map((place) => `  ${quoted(place.path)}) candidates=(${wordsAt(place).map(candidate).join(' ')}) ;;`)
  .join('\n')}
esac
_describe rlnet candidates || _files
`;
}

function patterns(words: readonly string[]): string {
  return `    ${words.map(quoted).join(' | ')}`;
}

/** One word of a shell, whatever it holds. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
