import { describe, expect, it } from 'vitest';
import { judgeDisabled, judgeEnabled, judgeUnit, type UnitRecord } from '../../../src/protocol/unit.ts';
import { enabledUnit } from '../../support/unit-record.ts';

// What systemd itself says of each state is seen on real hosts, in test/lab/unit.test.ts.

const codesOf = (change: Partial<UnitRecord>): string[] =>
  judgeUnit(enabledUnit(change)).map(({ code }) => code);
const atTop = (path: string, target: string) => ({ path, target, dependant: '' });

describe('judgeUnit', () => {
  it('has nothing against a unit that is enabled by links of its own alone', () => {
    const [link] = enabledUnit().links;
    expect(codesOf({})).toEqual([]);
    expect(
      codesOf({
        wantedBy: ['a.target', 'multi-user.target'],
        requiredBy: ['b.target'],
        links: [
          { ...atTop('', ''), ...link },
          { path: '/etc/systemd/system/default.target.wants/x', target: 'y', dependant: 'a.target' },
          { path: '/etc/systemd/system/b.target.requires/x', target: 'y', dependant: 'b.target' },
          atTop('/etc/systemd/system/alias.service', '/lib/systemd/system/rlec_supervisor.service'),
        ],
      }),
    ).toEqual([]);
  });

  it('has nothing against units that only stop with it, nor against an alias of the package', () => {
    expect(codesOf({ consistsOf: ['exporter.service'] })).toEqual([]);
    const alias = atTop('/usr/lib/systemd/system/redis.service', 'rlec_supervisor.service');
    expect(codesOf({ otherLinks: [alias] })).toEqual([]);
  });

  it('names everything that pulls the unit in, and its own links not', () => {
    const link = '/usr/lib/systemd/system/multi-user.target.wants/rlec_supervisor.service';
    const [refusal, ...others] = judgeUnit(
      enabledUnit({
        wantedBy: ['multi-user.target', 'app.service'],
        triggeredBy: ['rlec.timer'],
        otherLinks: [{ path: link, target: '../rlec_supervisor.service', dependant: 'multi-user.target' }],
      }),
    );
    expect(others).toEqual([]);
    expect(refusal).toMatchObject({
      code: 'UNIT_PULLED_IN',
      message: `rlec_supervisor.service starts also when it is disabled, because of Wants= of app.service, rlec.timer, the link ${link}.`,
    });
  });

  it('tells every reason at once where the unit file itself is sound', () => {
    expect(codesOf({ needDaemonReload: true, boundBy: ['a.service'], also: ['b.service'] })).toEqual([
      'UNIT_RELOAD_NEEDED',
      'UNIT_PULLED_IN',
      'UNIT_ENABLES_OTHERS',
    ]);
  });

  it.each(['reenabled', '', 'alias'])('does not take a state for sound that it does not know: %j', (word) => {
    expect(codesOf({ unitFileState: word })).toEqual(['UNIT_STATE_UNKNOWN']);
  });

  it('says of every refusal what to do about it', () => {
    for (const loadState of ['not-found', 'masked', 'bad-setting', 'error']) {
      for (const { remedy } of judgeUnit(enabledUnit({ loadState }))) expect(remedy).toMatch(/\S.*\S/);
      expect(judgeUnit(enabledUnit({ loadState }))).toHaveLength(1);
    }
  });
});

describe('judgeDisabled', () => {
  const disabled = { unitFileState: 'disabled', wantedBy: [], links: [] };

  it('believes a unit without links that nothing pulls in', () => {
    expect(judgeDisabled(enabledUnit(disabled))).toBeUndefined();
  });

  it.each([
    ['UNIT_STILL_ENABLED', {}],
    ['UNIT_STILL_ENABLED', { links: enabledUnit().links }],
    ['UNIT_STILL_ENABLED', { unitFileState: 'enabled-runtime' }],
    ['UNIT_PULLED_IN', { wantedBy: ['multi-user.target'] }],
  ])('says %s of one that is not that: %j', (code, change) => {
    const whole = Object.keys(change).length === 0 ? {} : { ...disabled, ...change };
    expect(judgeDisabled(enabledUnit(whole))).toMatchObject({ code });
  });
});

describe('judgeEnabled', () => {
  it('believes the state and the links of before, whatever the unit does meanwhile', () => {
    const now = enabledUnit({ activeState: 'inactive', subState: 'dead', result: 'signal' });
    expect(judgeEnabled(enabledUnit(), now)).toBeUndefined();
  });

  it('names each difference of the links, of their targets too', () => {
    const [link] = enabledUnit().links;
    const now = enabledUnit({ links: [{ ...atTop('', ''), ...link, target: '/elsewhere' }] });
    expect(judgeEnabled(enabledUnit(), now)).toMatchObject({
      code: 'UNIT_NOT_RESTORED',
      message: expect.stringMatching(
        /system\/rlec_supervisor.service is missing; .*\/elsewhere was not there/,
      ),
    });
    expect(judgeEnabled(enabledUnit(), enabledUnit({ unitFileState: 'linked' }))).toMatchObject({
      code: 'UNIT_NOT_RESTORED',
      message: expect.stringContaining('UnitFileState=linked instead of enabled'),
    });
  });
});
