/**
 * The short-lived process behind `createInventoryReader`: prints one line of JSON and ends. systemInformation blocks the event loop for as
 * long as it likes here, and what it keeps in memory goes with it. Its networkInterfaces() is not used: it misses
 * addresses and links, and takes seconds. What fails is left out; the rest is still worth having.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { fsSize, mem, osInfo, system } from 'systeminformation';
import type { Inventory } from '../protocol/inventory.ts';

const links = '/sys/class/net';

async function read(): Promise<Inventory> {
  const os = await orAbsent(osInfo());
  const memory = await orAbsent(mem());
  const machine = await orAbsent(system());
  const fileSystems = (await orAbsent(fsSize())) ?? [];
  const names = (await orAbsent(readdir(links))) ?? [];
  return {
    ...(os === undefined ? {} : { os: { distribution: os.distro, release: os.release, kernel: os.kernel } }),
    ...(machine === undefined
      ? {}
      : { virtualization: machine.virtual ? machine.virtualHost || 'unknown' : 'none' }),
    ...(memory === undefined ? {} : { memoryTotal: memory.total, memoryAvailable: memory.available }),
    fileSystems: fileSystems.map(({ mount, size, available }) => ({ mount, size, available })),
    links: await Promise.all(names.map(readLink)),
  };
}

/** Speed and driver as the kernel gives them: -1, or an error, where the link has no speed to tell. */
async function readLink(name: string): Promise<Inventory['links'][number]> {
  const speed = Number((await orAbsent(readFile(`${links}/${name}/speed`, 'utf8'))) ?? Number.NaN);
  const driver = await orAbsent(readlink(`${links}/${name}/device/driver`));
  return {
    name,
    ...(speed > 0 ? { speed } : {}),
    ...(driver === undefined ? {} : { driver: basename(driver) }),
  };
}

async function orAbsent<T>(outcome: Promise<T>): Promise<T | undefined> {
  try {
    return await outcome;
  } catch {
    return undefined;
  }
}

process.stdout.write(`${JSON.stringify(await read())}\n`);
