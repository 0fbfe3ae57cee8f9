import type { UnitRecord } from '../../src/protocol/unit.ts';

/** A unit as a package brings it, enabled and running: rlnet may disable and enable it. */
export function enabledUnit(change: Partial<UnitRecord> = {}): UnitRecord {
  const unit = 'rlec_supervisor.service';
  return {
    unit,
    loadState: 'loaded',
    activeState: 'active',
    subState: 'running',
    unitFileState: 'enabled',
    result: 'success',
    names: [unit],
    fragmentPath: `/lib/systemd/system/${unit}`,
    sourcePath: '',
    dropInPaths: [],
    needDaemonReload: false,
    wantedBy: ['multi-user.target'],
    requiredBy: [],
    upheldBy: [],
    boundBy: [],
    consistsOf: [],
    triggeredBy: [],
    onFailureOf: [],
    onSuccessOf: [],
    also: [],
    links: [
      {
        path: `/etc/systemd/system/multi-user.target.wants/${unit}`,
        target: `/lib/systemd/system/${unit}`,
        dependant: 'multi-user.target',
      },
    ],
    otherLinks: [],
    ...change,
  };
}
