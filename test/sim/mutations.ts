import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * Deliberate breaks of the renumbering, each in a copy of the sources, each of which an invariant of the simulation must notice.
 * `npx node test/sim/mutations.ts [NAME]…`; ends with 1 where one goes unnoticed. `--find` looks for the first story that notices it,
 * where the one that is named here does so no longer.
 */
interface Mutation {
  name: string;
  file: string;
  find: string;
  replace: string;
  /** The story in which it is noticed, as `npm run sim` takes it. */
  story: string;
}

const renumbering = 'src/agent/renumbering';
const words = 'src/protocol/renumbering';

const mutations: readonly Mutation[] = [
  {
    name: 'act-before-intent',
    file: `${renumbering}/renumbering.ts`,
    find: "    await this.#append({\n      type: 'intent',",
    replace:
      "    await executor.act(this.progress, attempt).catch(() => {});\n    await this.#append({\n      type: 'intent',",
    story: 'random 0',
  },
  {
    name: 'journal-not-synced',
    file: `${renumbering}/journal.ts`,
    find: 'await this.#files.append(this.path, encodeRecord(this.#records.length + 1, record));',
    replace:
      'void this.#files.append(this.path, encodeRecord(this.#records.length + 1, record)).catch(() => {});',
    story: 'random 2',
  },
  {
    name: 'journal-not-written-anew',
    file: `${renumbering}/journal.ts`,
    find: 'await files.writeAtomic(path, whole, mode);',
    replace: 'if (whole === "") await files.writeAtomic(path, whole, mode);',
    story: 'random 38',
  },
  {
    name: 'guard-forgotten',
    file: `${words}/steps.ts`,
    find: 'const outage: StepRule = { guards: true, held: true };',
    replace: 'const outage: StepRule = { guards: false, held: true };',
    story: 'random 202',
  },
  {
    name: 'grant-not-on-disk',
    file: `${renumbering}/lock-keeper.ts`,
    find: 'if (decision.grant) await this.#become(decision.state);',
    replace: 'if (decision.grant) this.#state = decision.state;',
    story: 'random 0',
  },
  {
    name: 'open-claims-ignored',
    file: `${words}/lock.ts`,
    find: 'if (open !== undefined) {',
    replace: 'if (open !== undefined && open.epoch < 0) {',
    story: 'aimed 23',
  },
  {
    name: 'minority-enough',
    file: `${renumbering}/claim.ts`,
    find: 'Math.floor(members.length / 2) + 1;',
    replace: 'Math.min(1, members.length);',
    story: 'random 88',
  },
  {
    name: 'lock-freed-on-one-disk',
    file: `${renumbering}/steps/claim.ts`,
    find: "return intended.has('preflight');",
    replace: "return intended.has('preflight') && false;",
    story: 'released-alone a',
  },
  {
    name: 'started-twice',
    file: `${renumbering}/renumberings.ts`,
    find: 'const result = this.#beginning.then(action);',
    replace: 'const result = action();',
    story: 'started-twice a',
  },
  {
    name: 'abort-after-the-dead-man',
    file: `${words}/next-action.ts`,
    find: "direction === 'forward' && progress.takenOver === undefined) {",
    replace: "direction === 'forward') {",
    story: 'aborted-after-the-dead-man a',
  },
  {
    name: 'registration-not-looked-at-again',
    file: `${renumbering}/steps/rs.ts`,
    find: 'if (row === undefined || row.address === address) return;',
    replace: 'if (row === undefined || row.address !== undefined) return;',
    story: 'registered-over a',
  },
  {
    name: 'lock-never-released',
    file: `${renumbering}/steps/claim.ts`,
    find: "if (keeper.answerHeld(claim) !== 'closed') return notDone('the lock is held');",
    replace: "if (keeper.answerHeld(claim) !== 'closed') return done('the lock is held');",
    story: 'aimed 7',
  },
  {
    name: 'word-too-late',
    file: `${words}/dead-man.ts`,
    find: "return step === 'register' || step === 'restore_registration' ? 'both' : undefined;",
    replace: 'return step === "" ? "both" : undefined;',
    story: 'dead-man-both a',
  },
  {
    name: 'take-over-passed',
    file: `${renumbering}/renumbering.ts`,
    find: 'const word = await this.#deps.deadMan.takenOver();',
    replace: 'const word = (await this.#deps.deadMan.takenOver()) === undefined ? undefined : undefined;',
    story: 'dead-man-old a',
  },
  {
    name: 'wire-not-asked',
    file: `${renumbering}/steps/address.ts`,
    find: "  if (verdict.verdict === 'taken') throw",
    replace: "  if (verdict.verdict === 'taken' && address.length === 0) throw",
    story: 'random 3 --only duplicate',
  },
  {
    name: 'files-not-restored',
    file: `${words}/steps.ts`,
    find: "readdress: ['restore_address', 'restore_files',",
    replace: "readdress: ['restore_address',",
    story: 'aborted-at-enable a',
  },
  {
    name: 'registration-not-undone',
    file: `${renumbering}/steps/rs.ts`,
    find: "await register(deps, progress, 'restore_registration', attempt, from.address);",
    replace: '',
    story: 'aborted-at-enable a',
  },
  {
    name: 'rejoin-believes-itself',
    file: `${renumbering}/steps/rs.ts`,
    find: '    if (row.address !== wanted) return notDone(',
    replace: '    if (row.address === undefined) return notDone(',
    story: 'registered-over-late a',
  },
];

const checkout = join(import.meta.dirname, '../..');
const { values, positionals } = parseArgs({ options: { find: { type: 'boolean' } }, allowPositionals: true });
/** How many stories `--find` tries. */
const tries = '1500';

/** Runs a command in a copy of the sources with a break in it; with none where it is absent. @returns what was broken first */
function brokenIn(args: readonly string[], mutation?: Mutation): string | undefined {
  const copy = mkdtempSync(join(tmpdir(), 'rlnet-mutation-'));
  try {
    for (const each of ['src', 'test', 'package.json', 'tsconfig.json']) {
      cpSync(join(checkout, each), join(copy, each), { recursive: true });
    }
    symlinkSync(join(checkout, 'node_modules'), join(copy, 'node_modules'));
    if (mutation !== undefined) apply(mutation, copy);
    const { status, stdout, stderr } = spawnSync('npx', ['node', 'test/sim/retell.ts', ...args], {
      cwd: copy,
      encoding: 'utf8',
      maxBuffer: 1024 ** 3,
    });
    if (status === 0) return undefined;
    // Only what an invariant says counts: sources that do not run at all notice nothing.
    const said = /^(.*) \(npx node test\/sim\/retell\.ts (\S+ \S+),/m.exec(`${stderr}\n${stdout}`);
    if (said === null) throw new Error(`It did not run: ${stderr.slice(0, 2_000)}`);
    return `${said[2] ?? ''}\t${said[1] ?? ''}`;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function apply({ file, find, replace }: Mutation, copy: string): void {
  const path = join(copy, file);
  const before = readFileSync(path, 'utf8');
  if (before.split(find).length !== 2) throw new Error(`${file} does not have it once: ${find}`);
  writeFileSync(path, before.replace(find, replace));
}

let missed = 0;
for (const mutation of mutations.filter(
  ({ name }) => positionals.length === 0 || positionals.includes(name),
)) {
  const args =
    values.find === true
      ? ['--seeds', tries, '--bail']
      : [...mutation.story.split(' '), '--grep', '^nothing$'];
  // Else a story that is broken anyway would pass for one that notices everything.
  const anyway = values.find === true ? undefined : brokenIn(args);
  if (anyway !== undefined) throw new Error(`It is broken without any break: ${anyway}`);
  const what = brokenIn(args, mutation);
  if (what === undefined) missed += 1;
  console.log(
    `${what === undefined ? 'NOT NOTICED' : 'noticed'}\t${mutation.name}\t${what ?? mutation.story}`,
  );
}
process.exitCode = missed === 0 ? 0 : 1;
