import { createClock } from '../../../src/host/clock.ts';
import { createExec } from '../../../src/host/exec.ts';
import { createFiles } from '../../../src/host/files.ts';
import { createInterfaces } from '../../../src/host/interfaces.ts';
import { createNetworkOwners } from '../../../src/host/network-owner/detect.ts';
import { createNetworkOwner } from '../../../src/host/network-owner/owners.ts';
import type { Clock } from '../../../src/host/ports/clock.ts';
import type { Exec } from '../../../src/host/ports/exec.ts';
import { inTransientUnits } from '../../../src/host/transient-units.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import { asRlnetError } from '../../../src/protocol/errors.ts';
import type { OwnerKind } from '../../../src/protocol/network-owner.ts';
import { unifiedDiff } from '../../../src/protocol/unified-diff.ts';

/*
 * The network owner of the host that this runs on: `node owner-driver.ts KIND CALLS CHANGE DIRECTORY [PACE]`, CALLS one or several joined by `+`,
 * CHANGE in JSON. Prints `{"result": …}` of the last one, or `{"error": …}` of the first that failed. With a PACE of 5 a fifth of each time that
 * rlnet grants is all that there is.
 */

const [kind = '', calls = '', changeText = '', directory = '', paceText = '1'] = process.argv.slice(2);
const pace = Number(paceText);
const realExec = createExec();
const exec: Exec = {
  ...realExec,
  run: (file, args, options) =>
    realExec.run(file, args, { ...options, timeoutMs: Math.ceil(options.timeoutMs / pace) }),
};
const realClock = createClock();
const clock: Clock = { ...realClock, monotonic: () => realClock.monotonic() * pace };
const interfaces = createInterfaces(exec, clock);
const owner = createNetworkOwner(
  kind as OwnerKind,
  { exec, outer: inTransientUnits(exec, createFiles()), clock, interfaces },
  '/etc/rlnet/network-hook',
);
const change = JSON.parse(changeText) as AddressChange;

async function run(call: string): Promise<unknown> {
  switch (call) {
    case 'plan': {
      const { files, warnings } = await owner.plan(change);
      const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
      return {
        diff: files.map(({ path, before, after }) => unifiedDiff(path, text(before), text(after))).join(''),
        warnings,
      };
    }
    case 'detect': {
      const verdict = await createNetworkOwners(exec, interfaces).detect(change.link, change.from.address);
      return verdict.kind === 'owned' ? verdict : { kind: 'refused', error: verdict.error.report() };
    }
    case 'locate':
      return owner.locate(change.link, change.from.address);
    case 'backUp':
      return owner.backUp(change, directory);
    case 'persist':
      return owner.persist(change, directory);
    case 'activate':
      return owner.activate(change);
    case 'readBack':
      return owner.readBack(change);
    case 'restore':
      return owner.restore(directory);
    default:
      throw new Error(`no call ${call}`);
  }
}

try {
  let result: unknown = null;
  for (const call of calls.split('+')) result = (await run(call)) ?? null;
  process.stdout.write(`${JSON.stringify({ result })}\n`);
} catch (thrown) {
  process.stdout.write(`${JSON.stringify({ error: asRlnetError(thrown).report() })}\n`);
}
