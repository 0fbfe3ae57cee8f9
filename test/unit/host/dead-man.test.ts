import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDeadMan } from '../../../src/host/dead-man.ts';
import { renderDeadMan } from '../../../src/host/dead-man-script.ts';
import { createFiles } from '../../../src/host/files.ts';
import type { Exec } from '../../../src/host/ports/exec.ts';
import type { DirectionWord } from '../../../src/protocol/renumbering/dead-man.ts';
import type { Plan } from '../../../src/protocol/renumbering/plan.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { enabledUnit } from '../../support/unit-record.ts';

/** The word of a shell that a quoted text is, by the shell itself. */
function wordsOf(script: string, variable: string): string {
  const line = script.split('\n').find((each) => each.startsWith(`${variable}=`)) ?? '';
  return execFileSync('sh', ['-c', `${line}\nprintf %s "$${variable}"`], { encoding: 'utf8' });
}

/** A directory that the script works in, with programs of the host that only note what they are asked. */
async function stage(plan: Plan) {
  const root = await temporaryDirectory();
  for (const name of ['bin', 'dead-man', 'backup', 'change']) mkdirSync(`${root}/${name}`);
  const asked = `${root}/asked`;
  writeFileSync(asked, '');
  for (const program of ['systemctl', 'ip', 'networkctl', 'nmcli', 'sync', 'sleep']) {
    // No address is bound, no unit active but what the file says, and starting fails for as long as a file says so.
    writeFileSync(
      `${root}/bin/${program}`,
      `#!/bin/sh
[ "${program}" = sleep ] && exit 0
echo ${program} "$@" >>'${asked}'
case "${program} $*" in
  "systemctl is-active"*) exit 1 ;;
  "systemctl start"*) [ ! -e '${root}/fails' ] || exit 1 ;;
esac
exit 0
`,
    );
    chmodSync(`${root}/bin/${program}`, 0o755);
  }
  writeFileSync(`${root}/backup/manifest.json`, '{}');
  for (const name of ['restore.sh', 'persist.sh'])
    writeFileSync(`${root}/backup/${name}`, `echo ${name} >>'${asked}'\n`);
  const paths = { directory: `${root}/dead-man`, backup: `${root}/backup`, change: `${root}/change` };
  const script = renderDeadMan(plan, paths)
    .replace(/^PATH=.*$/m, `PATH=${root}/bin:/usr/bin:/bin`)
    .replaceAll('/etc/systemd/system', `${root}/units`);
  writeFileSync(`${root}/dead-man/script`, script);
  return {
    root,
    write: (name: string, text: string) => writeFileSync(`${root}/${name}`, text),
    read: (name: string) => readFileSync(`${root}/${name}`, 'utf8'),
    has: (name: string) => existsSync(`${root}/${name}`),
    run: (): string => {
      writeFileSync(asked, '');
      try {
        execFileSync('sh', [`${root}/dead-man/script`], { stdio: 'pipe' });
      } catch {
        // What it did is what counts.
      }
      return readFileSync(asked, 'utf8');
    },
  };
}

describe('the script of the dead man', () => {
  test('has every path as one word of the shell, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }).map((text) => `/${text.replaceAll(/[\0\n]/g, '')}`),
        (path) => {
          // A path that is not Unicode never comes from Node.
          fc.pre(path.isWellFormed());
          const script = renderDeadMan(examplePlan(), { directory: '/d', backup: path, change: '/c' });
          expect(wordsOf(script, 'backup')).toBe(path);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('is taken by sh -n, with links of every name', () => {
    fc.assert(
      fc.property(
        fc.string().map((text) => text.replaceAll(/[\0\n]/g, '')),
        (text) => {
          const links = [{ path: `/etc/systemd/system/x${text}`, target: `/${text}`, dependant: '' }];
          const script = renderDeadMan(examplePlan({ unit: enabledUnit({ links }) }), {
            directory: '/d',
            backup: '/b',
            change: '/c',
          });
          execFileSync('sh', ['-n'], { input: script, stdio: 'pipe' });
        },
      ),
      { numRuns: 50 },
    );
  });

  test.for([
    { unit: enabledUnit({ unit: 'a b.service' }) },
    { unit: enabledUnit({ links: [{ path: '/tmp/x', target: '/y', dependant: '' }] }) },
    { change: { ...examplePlan().change, link: { name: '-batch' } } },
    { change: { ...examplePlan().change, link: { name: 'eth0', mac: '$(reboot)' } } },
  ])('is not rendered for a name that is none: %o', (change) => {
    const paths = { directory: '/d', backup: '/b', change: '/c' };
    expect(() => renderDeadMan(examplePlan(change), paths)).toThrow(
      expect.objectContaining({ code: 'DEAD_MAN_FAILED' }),
    );
  });

  test.for<[DirectionWord, string[], string[]]>([
    ['old', ['restore.sh', 'address replace 192.0.2.2/24'], ['persist.sh', 'replace 192.0.2.52/24']],
    ['new', ['persist.sh', 'address replace 192.0.2.52/24'], ['restore.sh', 'replace 192.0.2.2/24']],
    ['both', ['address replace 192.0.2.2/24', 'address replace 192.0.2.52/24'], ['restore.sh', 'persist.sh']],
  ])(
    'by the word %s binds what it says, puts the links back and starts the unit',
    async ([word, does, not]) => {
      const host = await stage(examplePlan());
      host.write('dead-man/word', `${word}\n`);
      host.write('dead-man/room', 'kept for a full disk');
      const asked = host.run();
      for (const part of [
        ...does,
        'systemctl kill --signal=KILL rlnet.service',
        'systemctl start rlec_supervisor.service',
      ])
        expect(asked).toContain(part);
      for (const part of not) expect(asked).not.toContain(part);
      const link = `${host.root}/units/multi-user.target.wants/rlec_supervisor.service`;
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
      expect(readlinkSync(link)).toBe(examplePlan().unit.links[0]?.target);
      expect(host.read('dead-man/taken-over').trim()).toBe(word);
      expect(host.has('dead-man/room')).toBe(false);
      expect(host.has('dead-man/finished')).toBe(true);
    },
  );

  test('goes on by the word that it began with, after a power cut in its middle, and then does nothing more', async () => {
    const host = await stage(examplePlan());
    host.write('dead-man/word', 'old\n');
    host.write('fails', '');
    expect(host.run()).toContain('restore.sh');
    expect(host.has('dead-man/finished')).toBe(false);
    host.write('dead-man/word', 'new\n');
    execFileSync('rm', [`${host.root}/fails`]);
    const again = host.run();
    expect(again).toContain('restore.sh');
    expect(again).not.toContain('persist.sh');
    expect(host.has('dead-man/finished')).toBe(true);
    expect(host.run()).toBe('');
  });

  test('takes the old address where a power cut has left neither mark nor word whole', async () => {
    const host = await stage(examplePlan());
    host.write('dead-man/word', '');
    host.write('dead-man/taken-over', '');
    expect(host.run()).toContain('restore.sh');
    expect(host.read('dead-man/taken-over').trim()).toBe('old');
  });

  test('keeps a change of the kernel that stands for a time from being taken back later', async () => {
    const host = await stage(examplePlan());
    host.write('dead-man/word', 'new\n');
    host.write('change/change.json', '{}');
    host.write('change/take-back.sh', `echo taken back >>'${host.root}/asked'\n`);
    const asked = host.run();
    expect(asked).toContain('systemctl stop rlnet-take-back-a.timer rlnet-take-back-b.timer');
    expect(asked).not.toContain('taken back');
    expect(host.has('change/kept')).toBe(true);
  });
});

describe('the dead man', () => {
  /** systemd as far as one timer goes. */
  function systemd() {
    const state = { active: false, enabled: false, restarts: 0 };
    const exec: Pick<Exec, 'run'> = {
      run: async (file, args) => {
        const words = args.join(' ');
        if (file === 'systemctl' && words.includes(' enable ')) state.enabled = true;
        if (file === 'systemctl' && words.includes('restart')) {
          state.active = true;
          state.restarts += 1;
        }
        if (file === 'systemctl' && words.includes('stop')) state.active = false;
        // What is enabled is known from the disk at once, and to systemd's own `show` only after the next reload.
        const answers = {
          show: `ActiveState=${state.active ? 'active' : 'inactive'}\nUnitFileState=disabled\n`,
          'is-enabled': `${state.enabled ? 'enabled' : 'disabled'}\n`,
        };
        return { exitCode: 0, stdout: answers[args[0] as keyof typeof answers] ?? '', stderr: '' };
      },
    };
    return { state, exec };
  }

  test('is armed, follows its word, begins its time anew, and leaves nothing when it is disarmed', async () => {
    const directory = `${await temporaryDirectory()}/dead-man`;
    const { state, exec } = systemd();
    const deadMan = createDeadMan({
      exec,
      files: createFiles(),
      directory,
      changeDirectory: '/run/rlnet/address',
      backupDirectory: ({ id }) => `/var/lib/rlnet/network/${id}`,
    });
    const plan = examplePlan();
    await deadMan.postpone();
    await deadMan.setWord('new');
    expect(existsSync(directory)).toBe(false);
    expect(state.restarts).toBe(0);

    await deadMan.arm(plan);
    expect(await deadMan.isArmed(plan)).toBe(true);
    expect(await deadMan.isArmed({ ...plan, id: 'ffffffffffff' })).toBe(false);
    expect(readFileSync(`${directory}/word`, 'utf8').trim()).toBe('old');
    expect(readFileSync(`${directory}/room`).length).toBe(256 * 1024);
    await deadMan.setWord('both');
    expect(readFileSync(`${directory}/word`, 'utf8').trim()).toBe('both');
    await deadMan.postpone();
    expect(state.restarts).toBe(2);
    expect(await deadMan.takenOver()).toBeUndefined();
    writeFileSync(`${directory}/taken-over`, 'both\n');
    expect(await deadMan.takenOver()).toBe('both');
    await deadMan.postpone();
    expect(state.restarts).toBe(2);

    expect(await deadMan.isDisarmed()).toBe(false);
    // As an agent leaves it that is killed in the middle of a write.
    writeFileSync(`${directory}/.room.39-0.tmp`, '....');
    await deadMan.disarm();
    expect(await deadMan.isDisarmed()).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
    expect(await deadMan.isArmed(plan)).toBe(false);
    expect(await deadMan.takenOver()).toBeUndefined();
    expect(state.active).toBe(false);
    // As a crash in the middle of it would leave it.
    writeFileSync(`${directory}/taken-over`, 'both\n');
    expect(await deadMan.takenOver()).toBeUndefined();
  });
});
