import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseUptime } from '../../src/host/boot-clock.ts';
import { judgeReboot } from '../../src/protocol/reboot.ts';
import { judgeUnit } from '../../src/protocol/unit.ts';
import { type UnitBehaviour, unitControlContract } from '../support/contracts/unit-control.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { bootTimeOf, callOn, discoverOn, rebootFromInside, unitControlOf } from '../support/lab/unit.ts';

/** Units on real systemd, in every state that a host may have RS's in. */

const labName = 'test-unit';
const packaged = '/usr/lib/systemd/system';
const configured = '/etc/systemd/system';
const wantedAtBoot = '[Install]\nWantedBy=multi-user.target\n';
const { signal } = new AbortController();
const patient = { boundMs: 30_000, signal };

let lab: Lab;
let host: Host;
let count = 0;

beforeAll(async () => {
  lab = await upLab({ name: labName, hosts: [{}, {}] });
  host = lab.host('n1');
});
afterAll(() => downLab(labName));

const control = () => unitControlOf(host);
const sh = (script: string): Promise<string> => host.execOk(['sh', '-euc', script]);
const newName = (): string => `t${++count}`;

/** Lays down unit files, by path, and has systemd read them. */
async function layDown(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await sh(`mkdir -p ${path.slice(0, path.lastIndexOf('/'))}`);
    await host.writeFile(path, text, 0o644);
  }
  await sh('systemctl daemon-reload');
}

function service(name: string, lines: { unit?: string; service?: string; install?: string } = {}): string {
  return [
    `[Unit]\nDescription=${name}\n${lines.unit ?? ''}`,
    `[Service]\n${lines.service ?? 'ExecStart=/bin/sleep infinity\n'}`,
    lines.install ?? wantedAtBoot,
  ].join('\n');
}

/** A unit as a package brings it, enabled. @returns its own name */
async function installUnit(lines: Parameters<typeof service>[1] = {}): Promise<string> {
  const name = newName();
  await layDown({ [`${packaged}/${name}.service`]: service(name, lines) });
  await sh(`systemctl --quiet enable ${name}`);
  return `${name}.service`;
}

/** Puts shell scripts on the host that take the place of programs. @returns where they are */
async function scripted(scripts: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const placed: Record<string, string> = {};
  for (const [program, script] of Object.entries(scripts)) {
    placed[program] = `/usr/local/bin/${newName()}-${program}`;
    await host.writeFile(placed[program], `#!/bin/sh\n${script}\n`, 0o755);
  }
  return placed;
}

const behaviours: Record<UnitBehaviour, string> = {
  runs: 'ExecStart=/bin/sleep infinity\n',
  'fails at once': 'ExecStart=/bin/sh -c "echo the port is taken; exit 3"\n',
  'hangs on its way up': 'Type=oneshot\nExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\n',
  'hangs on its way down':
    'ExecStart=/bin/sleep infinity\nExecStop=/bin/sleep infinity\nTimeoutStopSec=infinity\n',
};

unitControlContract('systemd', async () => ({
  control: control(),
  install: (behaviour) => installUnit({ service: behaviours[behaviour] }),
}));

/** Each makes a unit by that name, and what else it needs. */
const refused: [code: string, what: string, make: (name: string) => Promise<unknown>][] = [
  ['UNIT_NOT_FOUND', 'is not there', () => Promise.resolve()],
  ['UNIT_MASKED', 'is masked', (name) => installNamed(name).then(() => sh(`systemctl mask ${name}`))],
  [
    'UNIT_MASKED_RUNTIME',
    'is masked until the next restart',
    (name) => installNamed(name).then(() => sh(`systemctl mask --runtime ${name}`)),
  ],
  [
    'UNIT_BAD_SETTING',
    'has no command',
    (name) => layDown({ [`${packaged}/${name}.service`]: `[Service]\nType=simple\n\n${wantedAtBoot}` }),
  ],
  [
    'UNIT_BAD_SETTING',
    'cannot be parsed',
    (name) => layDown({ [`${packaged}/${name}.service`]: '[Unit\nhm' }),
  ],
  [
    'UNIT_GENERATED',
    'is made of a script in /etc/init.d',
    async (name) => {
      const header = `# Provides: ${name}\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n`;
      const text = `#!/bin/sh\n### BEGIN INIT INFO\n${header}### END INIT INFO\nexit 0\n`;
      await host.writeFile(`/etc/init.d/${name}`, text, 0o755);
      await sh('systemctl daemon-reload');
    },
  ],
  ['UNIT_LINKED', 'is linked', (name) => linked(name, '')],
  [
    'UNIT_LINKED',
    'is linked, and enabled so that systemd calls it so',
    (name) => linked(name, '').then(() => sh(`systemctl --quiet enable ${name}`)),
  ],
  ['UNIT_LINKED_RUNTIME', 'is linked until the next restart', (name) => linked(name, '--runtime')],
  ['UNIT_TRANSIENT', 'was made by systemd-run', (name) => sh(`systemd-run --unit ${name} sleep infinity`)],
  [
    'UNIT_TRANSIENT',
    'has its file under /run',
    (name) =>
      layDown({ [`/run/systemd/system/${name}.service`]: service(name) }).then(() =>
        sh(`systemctl --quiet enable ${name}`),
      ),
  ],
  [
    'UNIT_STATIC',
    'has no [Install]',
    (name) => layDown({ [`${packaged}/${name}.service`]: service(name, { install: '' }) }),
  ],
  [
    'UNIT_INDIRECT',
    'only enables another',
    async (name) => {
      const other = await installUnit();
      await layDown({
        [`${packaged}/${name}.service`]: service(name, { install: `[Install]\nAlso=${other}\n` }),
      });
    },
  ],
  ['UNIT_DISABLED', 'is disabled', (name) => layDown({ [`${packaged}/${name}.service`]: service(name) })],
  [
    'UNIT_ENABLED_RUNTIME',
    'is enabled until the next restart',
    (name) =>
      layDown({ [`${packaged}/${name}.service`]: service(name) }).then(() =>
        sh(`systemctl --quiet enable --runtime ${name}`),
      ),
  ],
  [
    'UNIT_ALIAS_ONLY',
    'only gets another name by being enabled',
    (name) => installNamed(name, { install: `[Install]\nAlias=${name}-too.service\n` }),
  ],
  [
    'UNIT_RELOAD_NEEDED',
    'was changed since systemd read it',
    async (name) => {
      await installNamed(name);
      // Loaded by what wants it; the file's time has to differ.
      await sh(
        `echo "# later" >> ${packaged}/${name}.service; touch -d "+1 minute" ${packaged}/${name}.service`,
      );
    },
  ],
  [
    'UNIT_ENABLES_OTHERS',
    'enables another too',
    async (name) => {
      const other = await installUnit();
      await installNamed(name, { install: `${wantedAtBoot}Also=${other}\n` });
    },
  ],
  ...['Wants', 'Requires', 'BindsTo', 'Upholds', 'OnFailure', 'OnSuccess'].map(
    (dependency): (typeof refused)[number] => [
      'UNIT_PULLED_IN',
      `is in ${dependency}= of another enabled unit`,
      async (name) => {
        await installNamed(name);
        await installUnit({ unit: `${dependency}=${name}.service\n` });
      },
    ],
  ),
  ...(
    [
      ['timer', '[Timer]\nOnActiveSec=1h\n', 'timers.target'],
      ['path', '[Path]\nPathExists=/nowhere\n', 'paths.target'],
      ['socket', '[Socket]\nListenStream=/run/NAME.sock\n', 'sockets.target'],
    ] as const
  ).map(([kind, text, target]): (typeof refused)[number] => [
    'UNIT_PULLED_IN',
    `is started by a ${kind}`,
    async (name) => {
      await installNamed(name);
      const whole = `${text.replace('NAME', name)}\n[Install]\nWantedBy=${target}\n`;
      await layDown({ [`${packaged}/${name}.${kind}`]: whole });
      await sh(`systemctl --quiet enable ${name}.${kind}`);
    },
  ]),
  [
    'UNIT_PULLED_IN',
    'is wanted by a link of a package too',
    async (name) => {
      await installNamed(name);
      await sh(
        `mkdir -p ${packaged}/multi-user.target.wants; ln -s ../${name}.service ${packaged}/multi-user.target.wants/`,
      );
      await sh('systemctl daemon-reload');
    },
  ],
];

async function installNamed(name: string, lines: Parameters<typeof service>[1] = {}): Promise<void> {
  await layDown({ [`${packaged}/${name}.service`]: service(name, lines) });
  await sh(`systemctl --quiet enable ${name}`);
}

async function linked(name: string, option: string): Promise<void> {
  await layDown({ [`/srv/units/${name}.service`]: service(name) });
  await sh(`systemctl --quiet ${option} link /srv/units/${name}.service`);
}

describe('a unit that rlnet may not disable and enable', () => {
  it.each(refused)('is told by %s where it %s', async (code, _what, make) => {
    const name = newName();
    await make(name);
    const record = await control().record(name);
    expect(record.unit).toBe(`${name}.service`);
    expect(judgeUnit(record).map((found) => found.code)).toEqual([code]);
  });

  it('is told by UNIT_PULLED_IN once it is disabled, where only a drop-in of the same target wants it', async () => {
    const unit = await installUnit();
    const before = await control().record(unit);
    await layDown({ [`${configured}/multi-user.target.d/${unit}.conf`]: `[Unit]\nWants=${unit}\n` });
    await expect(control().disable(before)).rejects.toMatchObject({
      code: 'UNIT_PULLED_IN',
      message: expect.stringContaining('multi-user.target'),
    });
    await sh(`rm ${configured}/multi-user.target.d/${unit}.conf; systemctl daemon-reload`);
    await control().enable(before);
  });
});

describe('links', () => {
  it('come back to the letter: aliases, other targets, made by hand, relative, and without those that were taken out by hand', async () => {
    const name = newName();
    const unit = `${name}.service`;
    const install = `[Install]\nWantedBy=default.target graphical.target\nAlias=${name}-too.service\n`;
    await installNamed(name, { install });
    await sh(`cd ${configured}
      rm graphical.target.wants/${unit}
      mkdir -p ${name}.target.requires
      ln -s ../../../../usr/lib/systemd/system/${unit} ${name}.target.requires/
      systemctl daemon-reload`);
    const before = await control().record(`${name}-too`);
    expect(before.unit).toBe(unit);
    expect(before.names).toEqual([`${name}-too.service`, unit]);
    expect(before.links.map(({ path }) => path)).toEqual([
      `${configured}/default.target.wants/${unit}`,
      `${configured}/${name}-too.service`,
      `${configured}/${name}.target.requires/${unit}`,
    ]);
    expect(judgeUnit(before)).toEqual([]);
    await control().disable(before);
    expect((await host.exec(['systemctl', 'cat', `${name}-too`])).exitCode).not.toBe(0);
    await control().enable(before);
    expect(await control().record(unit)).toEqual(before);
  });

  it('are on the disk before they are read back: their directories are synced right after the change', async () => {
    const unit = await installUnit();
    const before = await control().record(unit);
    const disabled = await callOn(host, { call: { what: 'disable', unit: before } });
    const enabled = await callOn(host, { call: { what: 'enable', unit: before } });
    for (const [verb, { effects, error }] of [
      ['disable', disabled],
      ['enable', enabled],
    ] as const) {
      expect(error).toBeUndefined();
      const change = effects.indexOf(`systemctl --no-ask-password ${verb} -- ${unit}`);
      expect(change).toBeGreaterThanOrEqual(0);
      expect(effects.slice(change + 1, change + 3)).toEqual([
        `sync ${configured}/multi-user.target.wants`,
        `sync ${configured}`,
      ]);
      expect(effects[change + 3]).toMatch(/^systemctl show /);
    }
  });
});

describe('a unit that does not do what it is told', () => {
  it('is told with the last lines of its journal', async () => {
    const unit = await installUnit({ service: behaviours['fails at once'] });
    await expect(control().start(unit, patient)).rejects.toMatchObject({
      code: 'UNIT_FAILED',
      message: expect.stringMatching(/The journal says: .*Failed/),
    });
  });

  it('is told by UNIT_START_LIMIT when systemd has given it up, started by hand or by Restart=', async () => {
    // However slow this host is.
    const unit = 'StartLimitIntervalSec=1h\nStartLimitBurst=5\n';
    const byHand = await installUnit({ unit, service: behaviours['fails at once'] });
    for (let start = 0; start < 5; start++) {
      await expect(control().start(byHand, patient)).rejects.toMatchObject({ code: 'UNIT_FAILED' });
    }
    await expect(control().start(byHand, patient)).rejects.toMatchObject({ code: 'UNIT_START_LIMIT' });
    const byItself = await installUnit({ unit, service: `${behaviours['fails at once']}Restart=always\n` });
    await expect(control().start(byItself, patient)).rejects.toMatchObject({
      code: 'UNIT_START_LIMIT',
      remedy: expect.stringContaining('reset-failed'),
    });
  });

  it('is told by UNIT_CONDITION_UNMET when a condition skips its start', async () => {
    const unit = await installUnit({ unit: 'ConditionPathExists=/nowhere\n' });
    await expect(control().start(unit, patient)).rejects.toMatchObject({ code: 'UNIT_CONDITION_UNMET' });
  });

  it('is told by UNIT_JOB_CANCELLED when somebody cancels its job', async () => {
    const hanging = await installUnit({ service: behaviours['hangs on its way up'] });
    const waiting = await installUnit({ unit: `After=${hanging}\n` });
    await sh(`systemctl start --no-block ${hanging}`);
    const started = expect(control().start(waiting, patient)).rejects.toMatchObject({
      code: 'UNIT_JOB_CANCELLED',
    });
    const job = await waitFor('the job to be queued', { timeoutMs: 30_000 }, async () => {
      const shown = await sh(`systemctl show --property=Job --value ${waiting}`);
      return shown.trim() === '' ? undefined : shown.trim();
    });
    // So that it is seen in the queue first.
    await sh(`sleep 2; systemctl cancel ${job}`);
    await started;
    await sh(`systemctl stop ${hanging}`);
  });

  it.each([
    ['UNIT_UNCHANGED', 'says yes and does nothing', 'start', 'exit 0'],
    ['COMMAND_FAILED', 'refuses', 'start', 'echo "Access denied" >&2; exit 4'],
    ['COMMAND_TIMEOUT', 'hangs', 'start', 'exec sleep 600'],
    ['UNIT_STILL_ENABLED', 'says yes and does nothing', 'disable', 'exit 0'],
    ['COMMAND_FAILED', 'refuses', 'disable', 'echo "Access denied" >&2; exit 4'],
  ] as const)('is told by %s when systemctl %s to %s', async (code, _what, verb, script) => {
    const unit = await installUnit();
    const systemctl = `case " $* " in *" ${verb} "*) ${script} ;; *) exec /usr/bin/systemctl "$@" ;; esac`;
    const call =
      verb === 'start'
        ? { what: verb, unit, boundMs: 30_000 }
        : { what: verb, unit: await control().record(unit) };
    const { error } = await callOn(host, { call, programs: await scripted({ systemctl }) });
    expect(error?.code).toBe(code);
  });

  it('has its links all the same when systemctl fails to enable it', async () => {
    const unit = await installUnit();
    const before = await control().record(unit);
    await control().disable(before);
    const systemctl = 'case " $* " in *" enable "*) exit 1 ;; *) exec /usr/bin/systemctl "$@" ;; esac';
    const programs = await scripted({ systemctl });
    const { error } = await callOn(host, { call: { what: 'enable', unit: before }, programs });
    expect(error).toBeUndefined();
    expect(await control().record(unit)).toEqual(before);
  });

  it('is told by UNIT_NOT_RESTORED where its links cannot be written, with the word of the system', async () => {
    const unit = await installUnit();
    const before = await control().record(unit);
    await control().disable(before);
    const systemctl = 'case " $* " in *" enable "*) exit 1 ;; *) exec /usr/bin/systemctl "$@" ;; esac';
    await sh(`mount -t tmpfs -o ro none ${configured}/multi-user.target.wants`);
    const programs = await scripted({ systemctl });
    const { error } = await callOn(host, { call: { what: 'enable', unit: before }, programs });
    await sh(`umount ${configured}/multi-user.target.wants`);
    expect(error).toMatchObject({
      code: 'UNIT_NOT_RESTORED',
      message: expect.stringContaining('EROFS'),
    });
    await control().enable(before);
    expect(await control().record(unit)).toEqual(before);
  });
});

describe('discovery', () => {
  it('finds none, the older one, refuses both, takes the one that is not masked, and one by its alias', async () => {
    expect(await discoverOn(host)).toBeUndefined();
    await installNamed('rlec_supervisord');
    expect(await discoverOn(host)).toBe('rlec_supervisord.service');
    await installNamed('rlec_supervisor');
    await expect(discoverOn(host)).rejects.toMatchObject({ code: 'UNIT_AMBIGUOUS' });
    expect(await discoverOn(host, 'rlec_supervisord')).toBe('rlec_supervisord.service');
    await sh('systemctl --quiet disable rlec_supervisord; systemctl mask rlec_supervisord');
    expect(await discoverOn(host)).toBe('rlec_supervisor.service');
    await sh(`rm ${configured}/rlec_supervisord.service
      ln -s rlec_supervisor.service ${packaged}/rlec_alias.service
      rm ${packaged}/rlec_supervisord.service
      ln -s rlec_supervisor.service ${packaged}/rlec_supervisord.service
      systemctl daemon-reload`);
    expect(await discoverOn(host)).toBe('rlec_supervisor.service');
    expect(await discoverOn(host, 'rlec_alias')).toBe('rlec_supervisor.service');
  });
});

describe('the host', () => {
  // One where no unit is left that hangs.
  beforeAll(() => {
    host = lab.host('n2');
  });

  it('has the links after a power cut as they were left, and starts the unit only where it is enabled', async () => {
    const [kept, dropped] = [await installUnit(), await installUnit()];
    const [record, other] = [await control().record(kept), await control().record(dropped)];
    await control().disable(record);
    await control().enable(record);
    await control().disable(other);
    await host.kill();
    await host.start();
    expect(await control().record(kept)).toMatchObject({ unitFileState: 'enabled', activeState: 'active' });
    expect(await control().record(dropped)).toMatchObject({
      unitFileState: 'disabled',
      activeState: 'inactive',
    });
  });

  it('is not rebooted while somebody holds a lock against shutdown, and that is said', async () => {
    await sh(
      'systemd-run --unit holder systemd-inhibit --what=shutdown --who=backup --why=running --mode=block sleep infinity',
    );
    await waitFor('the lock', { timeoutMs: 30_000 }, async () =>
      (await sh('systemd-inhibit --list --no-legend')).includes('backup') ? true : undefined,
    );
    await expect(rebootFromInside(host, 'a test')).rejects.toMatchObject({
      code: 'REBOOT_INHIBITED',
      message: expect.stringMatching(/backup.*running/),
    });
    await sh('systemctl stop holder');
  });

  it('is not rebooted where systemd refuses it, and that is said', async () => {
    await sh('systemctl mask reboot.target');
    await expect(rebootFromInside(host, 'a test')).rejects.toMatchObject({ code: 'REBOOT_REFUSED' });
    await sh('systemctl unmask reboot.target');
  });

  it('is seen not to have rebooted while a unit holds the shutdown up, and to have once that has ended', async () => {
    const unit = await installUnit({ service: behaviours['hangs on its way down'] });
    await control().start(unit, patient);
    await control().disable(await control().record(unit));
    const asked = await bootTimeOf(host);
    await rebootFromInside(host, 'a test');
    // The software of the host is unmounted by now, so its files are read from here.
    const verdictOf = async (boundSeconds: number) => {
      const [bootId, uptime] = [
        await host.readFile('/proc/sys/kernel/random/boot_id'),
        await host.readFile('/proc/uptime'),
      ];
      return judgeReboot(asked, { bootId: bootId.trim(), seconds: parseUptime(uptime) }, boundSeconds);
    };
    await waitFor('the reboot to be overdue', { timeoutMs: 60_000 }, async () =>
      (await verdictOf(5)) === 'overdue' ? true : undefined,
    );
    await sh(`systemctl kill --signal=KILL ${unit}`);
    await waitFor('the reboot', { timeoutMs: 120_000 }, async () => {
      try {
        return (await verdictOf(600)) === 'happened' ? true : undefined;
      } catch {
        // It is down.
        return undefined;
      }
    });
  });
});
