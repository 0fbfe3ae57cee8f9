import { connect, type Socket } from 'node:net';
import { inBursts } from './bursts.ts';
import type { Clock, Timer } from './ports/clock.ts';
import type { UnitSignals } from './ports/units.ts';

/** systemd's own socket, on which systemctl talks to it as root: a connection is told what becomes of every unit, and has to ask for nothing. */
const systemdSocket = '/run/systemd/private';

/** D-Bus's handshake (D-Bus Specification, "Authentication Protocol") of user 0, as hexadecimal digits of its decimal ones. */
const handshake = '\0AUTH EXTERNAL 30\r\nBEGIN\r\n';

/** Without a connection the next try, and a hint, come after this: whoever watches is no worse off than by reading at this pace. Milliseconds. */
const retryMs = 3_000;

/** Signals of systemd as a whole: units may be others, or enabled, after it. */
const ofAllUnits = ['Reloading', 'UnitFilesChanged'];

/** So much is kept of what came last, as what is looked for may have begun in it: longer than an object path. Bytes. */
const keptBytes = 512;

/** systemd's signals. None is taken apart: that one is of a unit is the hint. */
export function createUnitSignals(clock: Clock, path = systemdSocket): UnitSignals {
  return {
    watch(units, onHint) {
      const hint = inBursts(clock, onHint);
      let socket: Socket;
      let timer: Timer | undefined;
      const start = (): void => {
        let rest = '';
        socket = connect(path, () => socket.write(handshake));
        // systemd agrees to the handshake, and tells from then on.
        socket.once('data', hint.event);
        socket.on('data', (bytes) => {
          const text = rest + bytes.toString('latin1');
          const named = new RegExp([...ofAllUnits, ...units().map(signalOf)].join('|')).test(text);
          if (named) hint.event();
          rest = named ? '' : text.slice(-keptBytes);
        });
        // The end follows, and tells the same.
        socket.on('error', () => {});
        socket.once('close', () => {
          timer = clock.after(retryMs, start);
          hint.event();
        });
      };
      start();
      return {
        close: () => {
          socket.removeAllListeners('close').destroy();
          timer?.cancel();
          hint.cancel();
        },
      };
    },
  };
}

/**
 * In the header of a signal of the unit itself: its object path, and after it the field of the interface (D-Bus Specification, "Header Fields"). systemd
 * names a unit in the body too, of `UnitNew` and `UnitRemoved`: whoever asks about a unit that is not loaded is the cause of those, and would go round
 * in circles.
 */
function signalOf(unit: string): string {
  return `/unit/${inObjectPath(unit)}\\w*\\0+\\x02`;
}

/** As D-Bus paths have the name of a unit: all but letters and digits in hexadecimal, and a digit in the first place too. */
function inObjectPath(unit: string): string {
  return unit.replaceAll(
    /^\d|[^A-Za-z0-9]/g,
    (character) => `_${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
