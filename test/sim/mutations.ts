import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Deliberate breaks of the renumbering, each in a copy of the sources, each of which the simulation must notice. `npx node
 * test/sim/mutations.ts [NAME]…`; ends with 1 where one goes unnoticed.
 */
interface Mutation {
  name: string;
  file: string;
  find: string;
  replace: string;
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
  },
  {
    name: 'journal-not-synced',
    file: `${renumbering}/journal.ts`,
    find: 'await this.#files.append(this.path, encodeRecord(this.#records.length + 1, record));',
    replace:
      'void this.#files.append(this.path, encodeRecord(this.#records.length + 1, record)).catch(() => {});',
  },
  {
    name: 'journal-not-written-anew',
    file: `${renumbering}/journal.ts`,
    find: 'await files.writeAtomic(path, whole, mode);',
    replace: 'if (whole === "") await files.writeAtomic(path, whole, mode);',
  },
  {
    name: 'guard-forgotten',
    file: `${words}/steps.ts`,
    find: 'const outage: StepRule = { guards: true, held: true };',
    replace: 'const outage: StepRule = { guards: false, held: true };',
  },
  {
    name: 'grant-not-on-disk',
    file: `${renumbering}/lock-keeper.ts`,
    find: 'if (decision.grant) await this.#become(decision.state);',
    replace: '',
  },
  {
    name: 'open-claims-ignored',
    file: `${words}/lock.ts`,
    find: 'if (open !== undefined) {',
    replace: 'if (open !== undefined && open.epoch < 0) {',
  },
  {
    name: 'minority-enough',
    file: `${renumbering}/claim.ts`,
    find: 'if (granted >= majority(claim)) return;',
    replace: 'if (granted >= 1) return;',
  },
  {
    name: 'lock-freed-on-one-disk',
    file: `${renumbering}/steps/claim.ts`,
    find: "return intended.has('preflight');",
    replace: "return intended.has('preflight') && false;",
  },
  {
    name: 'started-twice',
    file: `${renumbering}/renumberings.ts`,
    find: 'const result = this.#beginning.then(action);',
    replace: 'const result = action();',
  },
  {
    name: 'abort-after-the-dead-man',
    file: `${words}/next-action.ts`,
    find: "direction === 'forward' && progress.takenOver === undefined) {",
    replace: "direction === 'forward') {",
  },
  {
    name: 'registration-not-looked-at-again',
    file: `${renumbering}/steps/rs.ts`,
    find: 'if (row === undefined || row.address === address) return;',
    replace: 'if (row === undefined || row.address !== undefined) return;',
  },
  {
    name: 'lock-never-released',
    file: `${renumbering}/steps/claim.ts`,
    find: "if (keeper.answerHeld(claim) !== 'closed') return notDone('the lock is held');",
    replace: "if (keeper.answerHeld(claim) !== 'closed') return done('the lock is held');",
  },
  {
    name: 'word-too-late',
    file: `${words}/dead-man.ts`,
    find: "return step === 'register' || step === 'restore_registration' ? 'both' : undefined;",
    replace: 'return step === "" ? "both" : undefined;',
  },
  {
    name: 'take-over-passed',
    file: `${renumbering}/renumbering.ts`,
    find: 'const word = await this.#deps.deadMan.takenOver();',
    replace: 'const word = (await this.#deps.deadMan.takenOver()) === undefined ? undefined : undefined;',
  },
  {
    name: 'wire-not-asked',
    file: `${renumbering}/steps/address.ts`,
    find: "  if (verdict.verdict === 'taken') throw",
    replace: "  if (verdict.verdict === 'taken' && address.length === 0) throw",
  },
  {
    name: 'files-not-restored',
    file: `${words}/steps.ts`,
    find: "readdress: ['restore_address', 'restore_files',",
    replace: "readdress: ['restore_address',",
  },
  {
    name: 'registration-not-undone',
    file: `${words}/steps.ts`,
    find: "  register: ['restore_registration'],\n",
    replace: '',
  },
  {
    name: 'rejoin-believes-itself',
    file: `${renumbering}/steps/rs.ts`,
    find: '    if (row.address !== wanted) return notDone(',
    replace: '    if (row.address === undefined) return notDone(',
  },
];

const checkout = join(import.meta.dirname, '../..');

/** Without it, a copy that does not run at all would pass for a simulation that notices everything. */
const control: Mutation = {
  name: 'none',
  file: `${words}/steps.ts`,
  find: "'preflight',\n",
  replace: "'preflight',\n",
};

/** @returns what noticed it; undefined where nothing did */
function noticed({ file, find, replace }: Mutation): string | undefined {
  const copy = mkdtempSync(join(tmpdir(), 'rlnet-mutation-'));
  try {
    for (const each of ['src', 'test', 'package.json', 'vitest.config.ts', 'tsconfig.json']) {
      cpSync(join(checkout, each), join(copy, each), { recursive: true });
    }
    symlinkSync(join(checkout, 'node_modules'), join(copy, 'node_modules'));
    const path = join(copy, file);
    const before = readFileSync(path, 'utf8');
    if (before.split(find).length !== 2) throw new Error(`${file} does not have it once: ${find}`);
    writeFileSync(path, before.replace(find, replace));
    const args = ['vitest', 'run', '--project', 'sim', '--bail', '1', 'test/sim/renumbering.test.ts'];
    const { status, stdout, stderr } = spawnSync('npx', args, {
      cwd: copy,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1' },
      timeout: 600_000,
    });
    if (status === 0) return undefined;
    return /Error: ([^(\n]{5,160})/.exec(`${stderr}\n${stdout}`)?.[1] ?? 'the run failed, or did not end';
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const names = process.argv.slice(2);
const nothing = noticed(control);
if (nothing !== undefined) throw new Error(`The simulation fails without any break: ${nothing}`);
let missed = 0;
for (const mutation of mutations.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const what = noticed(mutation);
  if (what === undefined) missed += 1;
  console.log(`${what === undefined ? 'NOT NOTICED' : 'noticed'}\t${mutation.name}\t${what ?? ''}`);
}
process.exitCode = missed === 0 ? 0 : 1;
