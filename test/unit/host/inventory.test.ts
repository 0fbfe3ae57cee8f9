import { writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createExec } from '../../../src/host/exec.ts';
import { createInventoryReader } from '../../../src/host/inventory.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const probe = fileURLToPath(new URL('../../../src/host/inventory-probe.ts', import.meta.url));

async function readerOf(program: string) {
  const path = `${await temporaryDirectory()}/probe.mjs`;
  await writeFile(path, program);
  return createInventoryReader(createExec(), path);
}

describe('the inventory', () => {
  it('of this very host has its kernel, memory, file systems and links', async () => {
    const inventory = await createInventoryReader(createExec(), probe).read();
    expect(inventory.os?.kernel).toBe(release());
    expect(inventory.memoryTotal).toBeGreaterThan(2 ** 20);
    expect(inventory.memoryAvailable).toBeLessThanOrEqual(inventory.memoryTotal ?? 0);
    expect(inventory.fileSystems.length).toBeGreaterThan(0);
    expect(inventory.links.map(({ name }) => name)).toContain('lo');
  }, 60_000);

  it('may lack every part that is optional', async () => {
    const reader = await readerOf(`console.log('{"fileSystems":[],"links":[{"name":"eth0"}]}')`);
    expect(await reader.read()).toEqual({ fileSystems: [], links: [{ name: 'eth0' }] });
  });

  it.each([
    ['prints nothing', '', 'OUTPUT_UNREADABLE'],
    ['prints no JSON', `console.log('{"fileSystems":[')`, 'OUTPUT_UNREADABLE'],
    ['prints another shape', `console.log('{"fileSystems":{},"links":[]}')`, 'OUTPUT_UNREADABLE'],
    ['fails', `throw new Error('no luck')`, 'COMMAND_FAILED'],
  ])('is an error where the probe %s', async (_, program, code) => {
    await expect((await readerOf(program)).read()).rejects.toMatchObject({ code });
  });
});
