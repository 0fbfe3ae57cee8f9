import type { CommandTree } from '../command-tree.ts';

/** rlnet(1) in the man macros of groff, man(7). Without a date, so that one version has one text. */
export function renderManPage(program: CommandTree, version: string): string {
  const commands = leavesOf(program);
  const lines = [
    `.TH RLNET 1 "" ${quoted(`rlnet ${version}`)}`,
    '.SH NAME',
    'rlnet \\- looks after the addresses of a Redis Enterprise Software cluster',
    '.SH SYNOPSIS',
    ...commands.flatMap(({ path, command }) => ['.br', `.B ${text(path)}`, ...synopsisOf(command)]),
    '.SH DESCRIPTION',
    text(program.description),
    'An agent on every node knows the addresses of its host, watches what Redis Enterprise Software needs of them, and',
    'talks to the agents of the other nodes. The other commands ask the agent of this host.',
    '.SH COMMANDS',
    ...commands.flatMap(({ path, command }) => [
      `.SS ${quoted([path, ...command.arguments.map(({ term }) => term)].join(' '))}`,
      `${text(sentence(command.description))}`,
      ...command.arguments
        .map(({ term, description }) => [term, description] as const)
        .filter(([, description]) => description !== '')
        .flatMap(entry),
      ...command.options
        .filter(({ names }) => !names.includes('--help'))
        .map(({ flags, description }) => [flags, description] as const)
        .flatMap(entry),
    ]),
    '.SH EXIT STATUS',
    ...exitStatuses.flatMap(entry),
    '.SH FILES',
    ...files.flatMap(entry),
    '.SH SEE ALSO',
    '.BR systemctl (1),',
    '.BR journalctl (1)',
  ];
  return `${lines.join('\n')}\n`;
}

/** docs/errors.md has the codes. */
const exitStatuses = [
  ['0', 'It worked.'],
  ['2', 'The words of the command are wrong.'],
  ['3', 'The configuration or a certificate file is wrong.'],
  ['4', 'This user, or this caller, may not ask for that.'],
  ['5', 'An agent is not there, or does not answer.'],
  ['6', 'A program of the host, or another agent, gave no usable answer.'],
  ['10, 20', 'The worst that rlnet check found is a warning or an unknown answer, or an error.'],
  ['70', 'A defect of rlnet.'],
] as const;

const files = [
  ['/etc/rlnet/agent.yaml', 'The configuration of the agent.'],
  ['/etc/rlnet/tls/', 'The certificate and key of this host, and the CA of its cluster.'],
  ['/var/lib/rlnet/', 'What the agent remembers.'],
  ['/run/rlnet/', 'Its sockets: agent.sock for root, read.sock for the group rlnet.'],
] as const;

/** The commands that do something, with the words that call them. One that only groups others has no --json of its own. */
function leavesOf(command: CommandTree, before = ''): { path: string; command: CommandTree }[] {
  const path = `${before}${command.name}`;
  const below = command.commands.flatMap((one) => leavesOf(one, `${path} `));
  const groupOnly = below.length > 0 && command.options.every(({ names }) => !names.includes('--json'));
  return groupOnly ? below : [{ path, command }, ...below];
}

function synopsisOf({ arguments: terms, options }: CommandTree): string[] {
  const words = [
    ...terms.map(({ term }) => term),
    ...options
      .filter(({ names }) => !names.includes('--help'))
      .map(({ flags, mandatory }) => (mandatory ? flags : `[${flags}]`)),
  ];
  return words.length === 0 ? [] : [text(words.join(' '))];
}

function entry([term, description]: readonly [string, string]): string[] {
  return ['.TP', `.B ${text(term)}`, text(sentence(description))];
}

function sentence(words: string): string {
  const first = words.slice(0, 1).toUpperCase() + words.slice(1);
  return first.endsWith('.') ? first : `${first}.`;
}

/** Text that troff prints as it stands: a hyphen can be searched for, and no line is a request. */
function text(words: string): string {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^(?=[.'])/gm, '\\&');
}

function quoted(words: string): string {
  return `"${text(words).replaceAll('"', '\\(dq')}"`;
}
