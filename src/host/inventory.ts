import * as v from 'valibot';
import { RlnetError } from '../protocol/errors.ts';
import { inventorySchema } from '../protocol/inventory.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { InventoryReader } from './ports/inventory.ts';

/** It takes about a second; a hanging file system (NFS) makes it hang. */
const timeoutMs = 30_000;

/** @param probe the path of inventory-probe.ts, or of what a release has in its place */
export function createInventoryReader(exec: Exec, probe: string): InventoryReader {
  return {
    read: async () => {
      // With our own options of Node: where we may have no machine code written, it may not either.
      const result = await exec.run(process.execPath, [...process.execArgv, probe], { timeoutMs });
      if (result.exitCode !== 0) {
        throw commandFailed('the inventory probe', result, `Run it by hand: ${process.execPath} ${probe}`);
      }
      const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), inventorySchema), result.stdout);
      if (parsed.success) return parsed.output;
      throw new RlnetError(
        'OUTPUT_UNREADABLE',
        `The inventory probe printed no inventory: ${v.summarize(parsed.issues).replaceAll(/\s+/g, ' ')}`,
        `Run it by hand: ${process.execPath} ${probe}`,
      );
    },
  };
}
