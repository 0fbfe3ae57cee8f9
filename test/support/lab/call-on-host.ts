import { open, readlink } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { createBootClock } from '../../../src/host/boot-clock.ts';
import { createClock } from '../../../src/host/clock.ts';
import { createExec } from '../../../src/host/exec.ts';
import { createFiles } from '../../../src/host/files.ts';
import { createHostPower } from '../../../src/host/host-power.ts';
import type { Exec } from '../../../src/host/ports/exec.ts';
import { createUnitControl } from '../../../src/host/unit-control.ts';
import { createUnits } from '../../../src/host/units.ts';
import { asRlnetError } from '../../../src/protocol/errors.ts';
import type { UnitRecord } from '../../../src/protocol/unit.ts';
import type { HostCall, HostCallOutcome } from './unit.ts';

/**
 * Runs on a host of the lab: takes a call as JSON on standard input, makes it with the real adapters, and prints what came of
 * it. Tells in order which programs were run and which files were synced.
 */
const { call, programs = {} } = JSON.parse(await text(process.stdin)) as HostCall;

const effects: string[] = [];
await watchSyncs((path) => effects.push(`sync ${path}`));

const real = createExec();
const exec: Exec = {
  ...real,
  run: (file, args, options) => {
    effects.push([file, ...args].join(' '));
    return real.run(programs[file] ?? file, args, options);
  },
};
const files = createFiles();
const units = createUnits(exec);
const control = createUnitControl({ exec, files, clock: createClock() });
const signal = new AbortController().signal;

async function answer(): Promise<unknown> {
  switch (call.what) {
    case 'discover':
      return units.discover(call.configured);
    case 'state':
      return control.state(call.unit);
    case 'record':
      return control.record(call.unit);
    case 'records': {
      const records: UnitRecord[] = [];
      for (const unit of call.units) records.push(await control.record(unit));
      return records;
    }
    case 'enable':
      return control.enable(call.unit);
    case 'flush':
      return control.flush(call.unit);
    case 'disable':
      return control.disable(call.unit);
    case 'start':
      return control.start(call.unit, { boundMs: call.boundMs, signal });
    case 'stop':
      return control.stop(call.unit, { boundMs: call.boundMs, signal });
    case 'boot time':
      return createBootClock(files).now();
    case 'reboot':
      return createHostPower(exec).reboot(call.reason);
  }
}

let outcome: HostCallOutcome;
try {
  outcome = { value: await answer(), effects };
} catch (thrown) {
  outcome = { error: asRlnetError(thrown).report(), effects };
}
process.stdout.write(`${JSON.stringify(outcome)}\n`);

/** Every `FileHandle.sync` of this process is still done, and told. */
async function watchSyncs(onSync: (path: string) => void): Promise<void> {
  const handle = await open('/');
  await handle.close();
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  const sync = Object.getOwnPropertyDescriptor(prototype, 'sync')?.value as (
    this: typeof handle,
  ) => Promise<void>;
  prototype.sync = async function (this: typeof handle) {
    onSync(await readlink(`/proc/self/fd/${this.fd}`));
    await sync.call(this);
  };
}
