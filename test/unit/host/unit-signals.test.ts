import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createUnitSignals } from '../../../src/host/unit-signals.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** In place of systemd: agrees to the handshake, and then says what the test has it say. */
async function startSystemd(
  path: string,
): Promise<{ say: (text: string) => void; server: Server; heard: string[] }> {
  const sockets: Socket[] = [];
  const heard: string[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      heard.push(bytes.toString('latin1'));
      socket.write('OK 5c1b1f4a\r\n');
    });
  });
  server.listen(path);
  await once(server, 'listening');
  const end = (): void => {
    for (const socket of sockets.splice(0)) socket.destroy();
  };
  server.once('close', end);
  onTestFinished(() => {
    end();
    server.close();
  });
  return { say: (text) => sockets.at(-1)?.write(text, 'latin1'), server, heard };
}

async function watching(units: readonly string[], start = true) {
  const path = join(await temporaryDirectory(), 'private');
  const clock = createManualClock();
  const systemd = start ? await startSystemd(path) : undefined;
  let hints = 0;
  const watch = createUnitSignals(clock, path).watch(
    () => units,
    () => {
      hints += 1;
    },
  );
  onTestFinished(() => watch.close());
  /** Hints since the last look, once so many came. */
  const hinted = async (count: number): Promise<void> => {
    await vi.waitFor(async () => {
      await clock.pass(50);
      expect(hints).toBe(count);
    });
  };
  return { path, clock, systemd, watch, hinted };
}

/** Signals of systemd, as far as they matter: the path of a unit in the header, where the interface follows, or at the end of the body. */
const signalOf = (unit: string): string =>
  `l\x04\x01\x01\0\x01\x01o\0/org/freedesktop/systemd1/unit/${unit}\0\0\0\x02\x01s\0org.freedesktop.DBus.Properties\0PropertiesChanged\0`;
const aboutUnit = (member: string, unit: string): string =>
  `l\x04\x01\x01\0\x01\x01o\0/org/freedesktop/systemd1\0\x02\x01s\0org.freedesktop.systemd1.Manager\0${member}\0/org/freedesktop/systemd1/unit/${unit}\0`;

test('hints once systemd listens, and when a signal names the unit or all units, and at no other', async () => {
  const { systemd, hinted } = await watching(['rlec_supervisor.service']);
  await hinted(1);
  expect(systemd?.heard).toEqual(['\0AUTH EXTERNAL 30\r\nBEGIN\r\n']);
  systemd?.say(signalOf('rlnet_2drun_2d614_2d7_2eservice'));
  systemd?.say(signalOf('rlec_5fsupervisor_2eservice'));
  await hinted(2);
  systemd?.say('org.freedesktop.systemd1.Manager\0UnitFilesChanged\0');
  await hinted(3);
  systemd?.say('org.freedesktop.systemd1.Manager\0Reloading\0');
  await hinted(4);
});

// To ask about a unit that is disabled and does not run loads it for the moment, which systemd tells everybody.
test('does not hint when a unit is loaded or unloaded', async () => {
  const { systemd, hinted, clock } = await watching(['rlec_supervisor.service']);
  await hinted(1);
  for (const member of ['UnitNew', 'UnitRemoved'])
    systemd?.say(aboutUnit(member, 'rlec_5fsupervisor_2eservice'));
  systemd?.say(signalOf('shutdown_2etarget'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await clock.pass(1_000);
  await hinted(1);
  systemd?.say(signalOf('rlec_5fsupervisor_2eservice'));
  await hinted(2);
});

test('hears a name that comes in two pieces', async () => {
  const { systemd, hinted, clock } = await watching(['rlec_supervisor']);
  await hinted(1);
  const signal = signalOf('rlec_5fsupervisord_2eservice');
  systemd?.say(signal.slice(0, 40));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await clock.pass(1_000);
  await hinted(1);
  systemd?.say(signal.slice(40));
  await hinted(2);
});

test('hints at each try while systemd does not listen, and goes on when it does', async () => {
  const { path, clock, hinted } = await watching(['rlec_supervisor'], false);
  await hinted(1);
  await clock.pass(3_000);
  await hinted(2);
  const { server, say } = await startSystemd(path);
  await clock.pass(3_000);
  await hinted(3);
  say(signalOf('rlec_5fsupervisor_2eservice'));
  await hinted(4);
  server.close();
  server.emit('close');
  await hinted(5);
});

test('is silent once it is closed', async () => {
  const { systemd, hinted, watch, clock } = await watching(['rlec_supervisor']);
  await hinted(1);
  systemd?.say(signalOf('rlec_5fsupervisor_2eservice'));
  watch.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await clock.pass(10_000);
  await hinted(1);
  expect(clock.pending).toBe(0);
});
