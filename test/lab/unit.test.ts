import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseUptime } from '../../src/host/boot-clock.ts';
import { hasRebooted } from '../../src/protocol/reboot.ts';
import { judgeUnit, type UnitRecord } from '../../src/protocol/unit.ts';
import { type UnitBehaviour, unitControlContract } from '../support/contracts/unit-control.ts';
import { diskUnder, hasLoopDevices } from '../support/lab/disk.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { bootTimeOf, callOn, discoverOn, rebootFromInside, unitControlOf } from '../support/lab/unit.ts';
import { turns } from '../support/turns.ts';

/**
 * Units on real systemd, in every state that a host may have RS's in. Most of it waits, each for a unit of its own: so the suites after the
 * first one run beside each other.
 */

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
  await downLab(labName);
  lab = await upLab({ name: labName, hosts: [{}, {}] });
  host = lab.host('n1');
});
afterAll(() => downLab(labName));

const control = (on = host) => unitControlOf(on);
const sh = (script: string, on = host): Promise<string> => on.execOk(['sh', '-euc', script]);
const newName = (): string => `t${++count}`;

/** Lays down unit files, by path, and has systemd read them. */
async function layDown(files: Readonly<Record<string, string>>, on = host): Promise<void> {
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = Object.entries(files).map(
    ([path, text]) => `mkdir -p ${path.slice(0, path.lastIndexOf('/'))}; printf %s ${quoted(text)} >${path}`,
  );
  await sh([...lines, 'systemctl daemon-reload'].join('\n'), on);
}

function service(name: string, lines: { unit?: string; service?: string; install?: string } = {}): string {
  return [
    `[Unit]\nDescription=${name}\n${lines.unit ?? ''}`,
    `[Service]\n${lines.service ?? 'ExecStart=/bin/sleep infinity\n'}`,
    lines.install ?? wantedAtBoot,
  ].join('\n');
}

/** A unit as a package brings it, enabled. @returns its own name */
async function installUnit(lines: Parameters<typeof service>[1] = {}, on = host): Promise<string> {
  const name = newName();
  await layDown({ [`${packaged}/${name}.service`]: service(name, lines) }, on);
  await sh(`systemctl --quiet enable ${name}`, on);
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

/** What makes a unit of a name, on a host where systemd is told to read its files anew once all units are there. */
interface Making {
  /** Unit files by path; `PACKAGED/NAME.service` where it is the unit's own alone. */
  files?: Record<string, string>;
  /** Commands that make links, such as `enable`, before systemd reads its files anew. */
  links?: string;
  /** And after that. */
  last?: string;
}

const enable = 'systemctl --quiet --no-reload enable';
const own = (name: string, lines: Parameters<typeof service>[1] = {}) => ({
  [`${packaged}/${name}.service`]: service(name, lines),
});
const enabled = (name: string, lines: Parameters<typeof service>[1] = {}): Making => ({
  files: own(name, lines),
  links: `${enable} ${name}`,
});
const linked = (name: string, option: string): Making => ({
  files: { [`/srv/units/${name}.service`]: service(name) },
  links: `systemctl --quiet --no-reload ${option} link /srv/units/${name}.service`,
});

const refused: [code: string, what: string, make: (name: string) => Making][] = [
  ['UNIT_NOT_FOUND', 'is not there', () => ({})],
  [
    'UNIT_MASKED',
    'is masked',
    (name) => ({ files: own(name), links: `${enable} ${name}; systemctl --quiet mask ${name}` }),
  ],
  [
    'UNIT_MASKED_RUNTIME',
    'is masked until the next restart',
    (name) => ({ files: own(name), links: `${enable} ${name}; systemctl --quiet mask --runtime ${name}` }),
  ],
  [
    'UNIT_BAD_SETTING',
    'has no command',
    (name) => ({ files: { [`${packaged}/${name}.service`]: `[Service]\nType=simple\n\n${wantedAtBoot}` } }),
  ],
  [
    'UNIT_BAD_SETTING',
    'cannot be parsed',
    (name) => ({ files: { [`${packaged}/${name}.service`]: '[Unit\nhm' } }),
  ],
  [
    'UNIT_GENERATED',
    'is made of a script in /etc/init.d',
    (name) => {
      const header = `# Provides: ${name}\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n`;
      const text = `#!/bin/sh\n### BEGIN INIT INFO\n${header}### END INIT INFO\nexit 0\n`;
      return { files: { [`/etc/init.d/${name}`]: text }, links: `chmod 755 /etc/init.d/${name}` };
    },
  ],
  ['UNIT_LINKED', 'is linked', (name) => linked(name, '')],
  [
    'UNIT_LINKED',
    'is linked, and enabled so that systemd calls it so',
    (name) => {
      const { files = {}, links = '' } = linked(name, '');
      return { files, links: `${links}; ${enable} ${name}` };
    },
  ],
  ['UNIT_LINKED_RUNTIME', 'is linked until the next restart', (name) => linked(name, '--runtime')],
  [
    'UNIT_TRANSIENT',
    'was made by systemd-run',
    (name) => ({ last: `systemd-run --quiet --unit ${name} sleep infinity` }),
  ],
  [
    'UNIT_TRANSIENT',
    'has its file under /run',
    (name) => ({
      files: { [`/run/systemd/system/${name}.service`]: service(name) },
      links: `${enable} ${name}`,
    }),
  ],
  ['UNIT_STATIC', 'has no [Install]', (name) => ({ files: own(name, { install: '' }) })],
  [
    'UNIT_INDIRECT',
    'only enables another',
    (name) => ({
      files: {
        ...own(`${name}-other`),
        ...own(name, { install: `[Install]\nAlso=${name}-other.service\n` }),
      },
      links: `${enable} ${name}-other`,
    }),
  ],
  ['UNIT_DISABLED', 'is disabled', (name) => ({ files: own(name) })],
  [
    'UNIT_ENABLED_RUNTIME',
    'is enabled until the next restart',
    (name) => ({ files: own(name), links: `${enable} --runtime ${name}` }),
  ],
  [
    'UNIT_ALIAS_ONLY',
    'only gets another name by being enabled',
    (name) => enabled(name, { install: `[Install]\nAlias=${name}-too.service\n` }),
  ],
  [
    'UNIT_RELOAD_NEEDED',
    'was changed since systemd read it',
    (name) => ({
      ...enabled(name),
      // Loaded by what wants it; the file's time has to differ.
      last: `echo "# later" >>${packaged}/${name}.service; touch -d "+1 minute" ${packaged}/${name}.service`,
    }),
  ],
  [
    'UNIT_ENABLES_OTHERS',
    'enables another too',
    (name) => ({
      files: {
        ...own(`${name}-other`),
        ...own(name, { install: `${wantedAtBoot}Also=${name}-other.service\n` }),
      },
      links: `${enable} ${name}-other ${name}`,
    }),
  ],
  ...['Wants', 'Requires', 'BindsTo', 'Upholds', 'OnFailure', 'OnSuccess'].map(
    (dependency): (typeof refused)[number] => [
      'UNIT_PULLED_IN',
      `is in ${dependency}= of another enabled unit`,
      (name) => ({
        files: { ...own(name), ...own(`${name}-other`, { unit: `${dependency}=${name}.service\n` }) },
        links: `${enable} ${name} ${name}-other`,
      }),
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
    (name) => {
      const whole = `${text.replace('NAME', name)}\n[Install]\nWantedBy=${target}\n`;
      return {
        files: { ...own(name), [`${packaged}/${name}.${kind}`]: whole },
        links: `${enable} ${name} ${name}.${kind}`,
      };
    },
  ]),
  [
    'UNIT_PULLED_IN',
    'is wanted by a link of a package too',
    (name) => {
      const wants = `${packaged}/multi-user.target.wants`;
      return {
        files: own(name),
        links: `${enable} ${name}; mkdir -p ${wants}; ln -s ../${name}.service ${wants}/`,
      };
    },
  ],
];

async function installNamed(name: string, lines: Parameters<typeof service>[1] = {}): Promise<void> {
  await layDown(own(name, lines));
  await sh(`systemctl --quiet enable ${name}`);
}

// By itself: to one of these it matters that nobody else has systemd read its files.
describe('a unit that rlnet may not disable and enable', () => {
  const cases = refused.map(([code, what, make]) => {
    const name = newName();
    return { code, what, name, made: make(name) };
  });
  let records: Map<string, UnitRecord>;

  beforeAll(async () => {
    const commands = (part: 'links' | 'last') => cases.flatMap(({ made }) => made[part] ?? []).join('\n');
    await layDown(Object.assign({}, ...cases.map(({ made }) => made.files ?? {})) as Record<string, string>);
    await sh(`${commands('links')}\nsystemctl daemon-reload\n${commands('last')}`);
    const names = cases.map(({ name }) => name);
    const { value } = await callOn(host, { call: { what: 'records', units: names } });
    records = new Map((value as UnitRecord[]).map((record, index) => [names[index] ?? '', record]));
  });

  it.each(cases)('is told by $code where it $what', ({ code, name }) => {
    const record = records.get(name);
    expect(record?.unit).toBe(`${name}.service`);
    expect(record === undefined ? [] : judgeUnit(record).map((found) => found.code)).toEqual([code]);
  });
});

unitControlContract(
  'systemd',
  async () => ({
    control: control(),
    install: (behaviour) => installUnit({ service: behaviours[behaviour] }),
  }),
  { concurrent: true },
);

describe('a unit that is disabled', { concurrent: true }, () => {
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

describe('links', { concurrent: true }, () => {
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

describe('a unit that does not do what it is told', { concurrent: true }, () => {
  it('is told with the last lines of its journal', async () => {
    const unit = await installUnit({ service: behaviours['fails at once'] });
    await expect(control().start(unit, patient)).rejects.toMatchObject({
      code: 'UNIT_FAILED',
      message: expect.stringMatching(/The journal says: .*Failed/),
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
    // A directory of its own, which no other unit has links in.
    const wants = `${newName()}.target`;
    const unit = await installUnit({ install: `[Install]\nWantedBy=${wants}\n` });
    const before = await control().record(unit);
    await control().disable(before);
    const systemctl = 'case " $* " in *" enable "*) exit 1 ;; *) exec /usr/bin/systemctl "$@" ;; esac';
    await sh(`mkdir -p ${configured}/${wants}.wants; mount -t tmpfs -o ro none ${configured}/${wants}.wants`);
    const programs = await scripted({ systemctl });
    const { error } = await callOn(host, { call: { what: 'enable', unit: before }, programs });
    await sh(`umount ${configured}/${wants}.wants`);
    expect(error).toMatchObject({
      code: 'UNIT_NOT_RESTORED',
      message: expect.stringContaining('EROFS'),
    });
    await control().enable(before);
    expect(await control().record(unit)).toEqual(before);
  });
});

describe('discovery', { concurrent: true }, () => {
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

describe('the host', { concurrent: true }, () => {
  // One where no unit is left that hangs, and where one thing is done at a time.
  const n2 = () => lab.host('n2');
  const inTurn = turns();

  // Here, as systemd counts anew when it reads its files anew.
  it('gives a unit up that fails time and again, started by hand or by Restart=, and UNIT_START_LIMIT says so', () =>
    inTurn(async () => {
      // However slow this host is.
      const unit = 'StartLimitIntervalSec=1h\nStartLimitBurst=5\n';
      const byHand = await installUnit({ unit, service: behaviours['fails at once'] }, n2());
      for (let start = 0; start < 5; start++) {
        await expect(control(n2()).start(byHand, patient)).rejects.toMatchObject({ code: 'UNIT_FAILED' });
      }
      await expect(control(n2()).start(byHand, patient)).rejects.toMatchObject({ code: 'UNIT_START_LIMIT' });
      const service = `${behaviours['fails at once']}Restart=always\n`;
      const byItself = await installUnit({ unit, service }, n2());
      await expect(control(n2()).start(byItself, patient)).rejects.toMatchObject({
        code: 'UNIT_START_LIMIT',
        remedy: expect.stringContaining('reset-failed'),
      });
    }));

  it('has the links after a power cut as they were left, and starts the unit only where it is enabled', () =>
    inTurn(async () => {
      const [kept, dropped] = [await installUnit({}, n2()), await installUnit({}, n2())];
      const [record, other] = [await control(n2()).record(kept), await control(n2()).record(dropped)];
      await control(n2()).disable(record);
      await control(n2()).enable(record);
      await control(n2()).disable(other);
      await n2().kill();
      await n2().start();
      expect(await control(n2()).record(kept)).toMatchObject({
        unitFileState: 'enabled',
        activeState: 'active',
      });
      expect(await control(n2()).record(dropped)).toMatchObject({
        unitFileState: 'disabled',
        activeState: 'inactive',
      });
    }));

  it.skipIf(!hasLoopDevices)(
    'has the links on its disk as soon as enable and disable have said so, which those of systemctl alone are not yet',
    () =>
      inTurn(async () => {
        const [unit, byHand] = [await installUnit({}, n2()), await installUnit({}, n2())];
        const before = await control(n2()).record(unit);
        await using disk = await diskUnder(n2(), configured);
        const hasLinkOf = async (name: string) =>
          (await disk.linksAfterPowerCut()).some((link) =>
            link.startsWith(`multi-user.target.wants/${name} `),
          );
        await sh(`systemctl --quiet disable ${byHand}`, n2());
        expect(await hasLinkOf(byHand)).toBe(true);
        await control(n2()).disable(before);
        expect(await hasLinkOf(unit)).toBe(false);
        await sh(`systemctl --quiet enable ${byHand}`, n2());
        expect(await hasLinkOf(byHand)).toBe(false);
        await control(n2()).enable(before);
        expect(await hasLinkOf(unit)).toBe(true);
      }),
  );

  it('is not rebooted while somebody holds a lock against shutdown, and that is said', () =>
    inTurn(async () => {
      const inhibit = 'systemd-inhibit --what=shutdown --who=backup --why=running --mode=block';
      await sh(`systemd-run --unit holder ${inhibit} sleep infinity`, n2());
      await waitFor('the lock', { timeoutMs: 30_000 }, async () =>
        (await sh('systemd-inhibit --list --no-legend', n2())).includes('backup') ? true : undefined,
      );
      await expect(rebootFromInside(n2(), 'a test')).rejects.toMatchObject({
        code: 'REBOOT_INHIBITED',
        message: expect.stringMatching(/backup.*running/),
      });
      await sh('systemctl stop holder', n2());
    }));

  it('is not rebooted where systemd refuses it, and that is said', () =>
    inTurn(async () => {
      await sh('systemctl mask reboot.target', n2());
      await expect(rebootFromInside(n2(), 'a test')).rejects.toMatchObject({ code: 'REBOOT_REFUSED' });
      await sh('systemctl unmask reboot.target', n2());
    }));

  it('is seen not to have rebooted while a unit holds the shutdown up, and to have once that has ended', () =>
    inTurn(async () => {
      const unit = await installUnit({ service: behaviours['hangs on its way down'] }, n2());
      await control(n2()).start(unit, patient);
      await control(n2()).disable(await control(n2()).record(unit));
      const asked = await bootTimeOf(n2());
      await rebootFromInside(n2(), 'a test');
      // The software of the host is unmounted by now, so its files are read from here.
      const now = async () => {
        const [bootId, uptime] = [
          await n2().readFile('/proc/sys/kernel/random/boot_id'),
          await n2().readFile('/proc/uptime'),
        ];
        return { bootId: bootId.trim(), seconds: parseUptime(uptime) };
      };
      await waitFor('time to go by', { timeoutMs: 60_000 }, async () =>
        (await now()).seconds - asked.seconds >= 5 ? true : undefined,
      );
      expect(hasRebooted(asked, await now())).toBe(false);
      await sh(`systemctl kill --signal=KILL ${unit}`, n2());
      await waitFor('the reboot', { timeoutMs: 120_000 }, async () => {
        try {
          return hasRebooted(asked, await now()) ? true : undefined;
        } catch {
          // It is down.
          return undefined;
        }
      });
    }));
});
