import { describe, expect, it } from 'vitest';
import type { Exec } from '../../../src/host/ports/exec.ts';
import { type Family, familyOf } from '../../../src/protocol/address.ts';
import type { NetworkSnapshot } from '../../../src/protocol/network-snapshot.ts';
import { planRehearsal } from '../../../src/protocol/rehearsal.ts';
import { planSwap } from '../../../src/protocol/swap.ts';
import { changesBetween, type Death, type KernelAddressesUnderTest, textOf } from '../kernel-addresses.ts';
import { full, sampleOf } from '../sampling.ts';
import { changeOf, ipv4Cases, ipv6Cases, type SwapCase } from '../swap-cases.ts';
import { swapMatrix } from '../swap-matrix.ts';

/** A host with eth0 and eth1, and rlnet's hands on its kernel. */
export interface KernelUnderTest extends AsyncDisposable {
  exec: Pick<Exec, 'run'>;
  kernel: Pick<
    KernelAddressesUnderTest,
    'snapshot' | 'standing' | 'rehearse' | 'swap' | 'takeBack' | 'elapse'
  >;
  /** Starts a process that changes an address there, and kills it where it stops. */
  killOwner(death: Death): Promise<void>;
}

/** Gives a host its addresses, routes and rules: `ip` commands, a line each. */
export type OpenKernel = (host: string, options: { promote: 0 | 1 }) => Promise<KernelUnderTest>;

export interface KernelContractOptions {
  /**
   * Lends a place for hosts as long as `work` runs. The work has one host at a time, and all of them are alike in what the test does not say:
   * what one of them is like can be compared with what another one was.
   */
  place: (work: (open: OpenKernel) => Promise<void>) => Promise<void>;
  /** How many of each an ordinary run takes: written cases and their rehearsals, those of the matrix and theirs, and deaths. */
  sample: { cases: number; trials: number; changes: number; rehearsals: number; deaths: number };
  /** In a full run one case sees the owner die in every so many-th phase, and the next one in others. */
  phaseStep: number;
}

const cases: (SwapCase & { promote: 0 | 1; family: Family })[] = [
  ...([0, 1] as const).flatMap((promote) =>
    ipv4Cases.map((entry) => ({ ...entry, promote, family: 'ipv4' as const })),
  ),
  ...ipv6Cases.map((entry) => ({ ...entry, promote: 0 as const, family: 'ipv6' as const })),
];

/** Changes that are made again, in other words: once is enough where nothing of the old is taken away. */
const trials = cases.filter(({ promote }) => promote === 0);

const rich = (
  [
    [ipv4Cases[1], 0],
    [ipv4Cases[2], 1],
    [ipv4Cases[7], 0],
    [ipv6Cases[1], 0],
  ] as const
).flatMap(([entry, promote]) => (entry === undefined ? [] : [{ ...entry, promote }]));

const deaths = [...swapMatrix.filter(({ after }) => after !== undefined), ...rich]
  .flatMap((entry) => (['swap', 'rehearse'] as const).map((kind) => ({ ...entry, kind })))
  .map((entry, turn) => ({ ...entry, turn }));

const boundSeconds = 60;

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** What changed, but for the routes of the table `local`. */
function seenChanges(before: NetworkSnapshot, after: NetworkSnapshot): string[] {
  return changesBetween(before, after).filter((line) => !line.includes(' table local '));
}

/** The phases of a change of one host, as `kernel-owner.ts` names them: every one of the way there, some of the way back. */
function phasesOf(
  { forward, back }: { forward: readonly unknown[]; back: readonly unknown[] },
  { step, turn }: { step: number; turn: number },
): string[] {
  const each = (part: string, { length }: readonly unknown[]) =>
    Array.from({ length: length + 1 }, (_, count) => `${part} ${count}`);
  const way = ['unarmed', 'armed', ...each('forward', forward), 'done', 'extending'];
  const phases = [...sampleOf(way, 3), ...sampleOf(each('back', back), full ? 5 : 2, false)];
  return full ? phases.filter((_, index) => index % step === turn % step) : phases;
}

/** What `createKernelAddresses` does to a kernel, on every kind of host that there is a case of. */
export function kernelAddressesContract({ place, sample, phaseStep }: KernelContractOptions): void {
  describe('a swap', { concurrent: true }, () => {
    it.for(sampleOf(cases, sample.cases))(
      '$family, promote_secondaries=$promote: $title',
      ({ host, change, changes, promote }) =>
        place(async (open) => {
          await using there = await open(host, { promote });
          const { kernel } = there;
          const before = await kernel.snapshot();

          const { elsewhere } = await kernel.swap(changeOf(change), boundSeconds);
          expect(elsewhere).toEqual([]);
          expect(seenChanges(before, await kernel.snapshot()).toSorted()).toEqual(lines(changes).toSorted());

          await kernel.takeBack();
          expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
          expect(await kernel.standing()).toBeUndefined();
        }),
    );

    it.for(sampleOf(trials, sample.trials))(
      'can be rehearsed without a change to what is there, $family: $title',
      ({ host, change }) =>
        place(async (open) => {
          await using there = await open(host, { promote: 0 });
          const { kernel } = there;
          const before = await kernel.snapshot();
          await kernel.rehearse(changeOf(change), boundSeconds);
          const changes = changesBetween(before, await kernel.snapshot());
          const { to } = changeOf(change);
          const trial =
            familyOf(to.address) === 'ipv4'
              ? `+ ${to.address}/32 dev eth0 scope global label eth0 noprefixroute`
              : `+ ${to.address}/128 dev eth0 scope global deprecated nodad noprefixroute`;
          expect(changes).toContain(trial);
          expect(changes).toContainEqual(expect.stringContaining(` rule priority 1 from ${to.address} `));
          expect(changes.filter((line) => line.startsWith('-'))).toEqual([]);
          expect(changes.filter((line) => line.includes(' table main '))).toEqual([]);
          await kernel.takeBack();
          expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
        }),
    );
  });

  /** Every combination of family, subnet, gateway, other addresses, rules and `promote_secondaries`: 48 changes. */
  describe('any change', { concurrent: true }, () => {
    it.for(sampleOf(swapMatrix, sample.changes))(
      '$title: afterwards the host is as if it had had the new address from the start, and as before once it is taken back',
      ({ host, change, after, promote }) =>
        place(async (open) => {
          const wanted = after === undefined ? undefined : await looksLike(open, after, promote);
          await using there = await open(host, { promote });
          const { kernel } = there;
          const before = textOf(await kernel.snapshot());
          if (wanted === undefined) {
            await expect(kernel.swap(changeOf(change), boundSeconds)).rejects.toMatchObject({
              code: 'ADDRESS_CHANGE_REFUSED',
            });
            expect(textOf(await kernel.snapshot())).toEqual(before);
            return;
          }
          await kernel.swap(changeOf(change), boundSeconds);
          expect(textOf(await kernel.snapshot())).toEqual(wanted);
          await kernel.takeBack();
          expect(textOf(await kernel.snapshot())).toEqual(before);
        }),
    );

    it.for(sampleOf(swapMatrix, sample.rehearsals))(
      '$title: a rehearsal adds what it has to, has nothing sent from there, and leaves nothing',
      ({ host, change, rehearsed, promote, family }) =>
        place(async (open) => {
          await using there = await open(host, { promote });
          const { kernel, exec } = there;
          const before = await kernel.snapshot();
          const sentFrom = async () => {
            const destination = family === 'ipv4' ? '192.0.2.1' : '2001:db8::1';
            const { stdout } = await exec.run('ip', ['-o', 'route', 'get', destination], {
              timeoutMs: 10_000,
            });
            return /\bsrc (\S+)/.exec(stdout)?.[1];
          };
          const source = await sentFrom();
          expect(source).toBeDefined();
          await kernel.rehearse(changeOf(change), boundSeconds);
          expect(changesBetween(before, await kernel.snapshot()).toSorted()).toEqual(rehearsed.toSorted());
          expect(await sentFrom()).toBe(source);
          await kernel.takeBack();
          expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
        }),
    );
  });

  describe('an owner that is killed', { concurrent: true }, () => {
    it.for(sampleOf(deaths, sample.deaths))(
      `leaves what was there before, in ${full && phaseStep === 1 ? 'every phase' : 'some phases'} of a $kind: $title`,
      { timeout: full ? 3_600_000 : 240_000 },
      ({ kind, promote, host, change, turn }) =>
        place(async (open) => {
          await using there = await open(host, { promote });
          const { kernel } = there;
          const before = await kernel.snapshot();
          const plan = (kind === 'swap' ? planSwap : planRehearsal)(before, changeOf(change));
          for (const phase of phasesOf(plan, { step: phaseStep, turn })) {
            await there.killOwner({ kind, change, phase });
            if (phase !== 'unarmed') {
              expect(await kernel.elapse(), phase).toBe('same\n');
              expect(changesBetween(before, await kernel.snapshot()), phase).toEqual([]);
            }
            expect(await kernel.standing(), phase).toMatchObject({ takenBack: phase !== 'unarmed' });
            await expect(kernel.swap(changeOf(change), boundSeconds)).rejects.toMatchObject({
              code: 'ADDRESS_CHANGE_UNDER_WAY',
            });
            // Reads back what it comes to.
            await kernel.takeBack();
            expect(await kernel.standing(), phase).toBeUndefined();
          }
          expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
        }),
    );
  });
}

async function looksLike(open: OpenKernel, host: string, promote: 0 | 1): Promise<string[]> {
  await using there = await open(host, { promote });
  return textOf(await there.kernel.snapshot());
}
