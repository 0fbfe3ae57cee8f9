import * as v from 'valibot';
import { RlnetError } from './errors.ts';

/** A systemd unit as `systemctl show` describes it, in systemd's words. */
export const unitStateSchema = v.object({
  /** Its own name (`Id`), also where it was asked for by an alias. */
  unit: v.string(),
  /** `loaded`, `not-found`, `masked`, `bad-setting`, `error` … */
  loadState: v.string(),
  /** `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`. */
  activeState: v.string(),
  subState: v.string(),
  /** `enabled`, `disabled`, `static`, `linked`, `masked`, `generated` … Empty where there is no unit file. */
  unitFileState: v.string(),
  /** How the last run ended: `success`, `exit-code`, `signal`, `start-limit-hit` … */
  result: v.string(),
});
export type UnitState = v.InferOutput<typeof unitStateSchema>;

/** A symbolic link that makes a unit known by a name, or has another unit pull it in. */
const unitLinkSchema = v.object({
  /** Absolute. */
  path: v.string(),
  /** As it stands in the link: absolute or relative, not resolved. */
  target: v.string(),
  /**
   * The unit in whose `.wants`, `.requires` or `.upholds` directory it lies, by its own name: a link in `default.target.wants`
   * belongs to `multi-user.target`, or whatever the host's default is. Empty for a link that is an alias or a linked unit file.
   */
  dependant: v.string(),
});
export type UnitLink = v.InferOutput<typeof unitLinkSchema>;

/** Names of units, in order: systemd gives them in the order of a hash table, which differs from boot to boot. */
const unitsSchema = v.array(v.string());

/** All that `disable` takes away and `enable` has to put back, and all that could start the unit all the same. */
export const unitRecordSchema = v.object({
  ...unitStateSchema.entries,
  /** All its names, aliases included. */
  names: unitsSchema,
  fragmentPath: v.string(),
  /** What it was generated from, such as a script in /etc/init.d. Empty for a unit with a file of its own. */
  sourcePath: v.string(),
  dropInPaths: v.array(v.string()),
  /** The files have changed since systemd read them. */
  needDaemonReload: v.boolean(),
  wantedBy: unitsSchema,
  requiredBy: unitsSchema,
  upheldBy: unitsSchema,
  boundBy: unitsSchema,
  /** Units that stop with it (`PartOf=`). They do not start it. */
  consistsOf: unitsSchema,
  /** Sockets, timers, paths and automounts. */
  triggeredBy: unitsSchema,
  onFailureOf: unitsSchema,
  onSuccessOf: unitsSchema,
  /** `Also=`: what is enabled and disabled together with it. */
  also: unitsSchema,
  /** What is under /etc/systemd/system, by path: the links that `disable` removes. */
  links: v.array(unitLinkSchema),
  /** The links to it in all other directories of units (/usr/lib/systemd/system, /run/systemd/system …), by path. */
  otherLinks: v.array(unitLinkSchema),
});
export type UnitRecord = v.InferOutput<typeof unitRecordSchema>;

/** Both are real to users: the first on installations of today, the second on older ones and in the vendor's IPv6 page. */
export const rsUnitNames = ['rlec_supervisor', 'rlec_supervisord'] as const;

/**
 * Which of the units that RS is known by is the one of this host. One that is only another name of the other is not a second
 * unit, and neither is one that somebody masked while the other is not.
 *
 * @param states of `rsUnitNames`, or fewer
 * @returns its own name, as the alias goes when the unit is disabled; undefined where systemd knows none
 * @throws RlnetError UNIT_AMBIGUOUS
 */
export function chooseUnit(states: readonly UnitState[]): string | undefined {
  const known = states.filter(({ loadState }) => loadState !== 'not-found');
  const unmasked = known.filter(({ loadState }) => loadState !== 'masked');
  const [first, ...others] = new Set((unmasked.length > 0 ? unmasked : known).map(({ unit }) => unit));
  if (others.length === 0) return first;
  throw new RlnetError(
    'UNIT_AMBIGUOUS',
    `systemd knows ${[first, ...others].join(' and ')}, and they are different units.`,
    'Name the one that runs RS as rs.unit in /etc/rlnet/agent.yaml, or remove the one that is left over.',
  );
}

/**
 * May rlnet disable this unit, restart the host, and enable it again? Only if `disable` keeps it from starting, and
 * `enable` brings back what was.
 *
 * @returns every reason against it; empty if it may
 */
export function judgeUnit(record: UnitRecord): RlnetError[] {
  // A unit without a sound file of its own: what else there is to say follows from that.
  const file = judgeUnitFile(record);
  if (file !== undefined) return [file];
  return [judgeReload(record), judgePulls(record), judgeAlso(record)].filter((found) => found !== undefined);
}

function judgeUnitFile(record: UnitRecord): RlnetError | undefined {
  const { unit, loadState, unitFileState, fragmentPath, sourcePath, links, otherLinks } = record;
  const asIs = `UnitFileState=${unitFileState}, FragmentPath=${fragmentPath}`;

  if (loadState === 'not-found') {
    return new RlnetError(
      'UNIT_NOT_FOUND',
      `systemd knows no unit ${unit}.`,
      'Name the unit that runs RS as rs.unit in /etc/rlnet/agent.yaml; systemctl list-unit-files shows all.',
    );
  }
  if (unitFileState === 'masked-runtime') {
    return new RlnetError(
      'UNIT_MASKED_RUNTIME',
      `${unit} is masked until the next restart of the host, and nothing can start it.`,
      `Find out who masked it and why; then: systemctl unmask --runtime ${unit}`,
    );
  }
  if (unitFileState === 'masked' || loadState === 'masked') {
    return new RlnetError(
      'UNIT_MASKED',
      `${unit} is masked (${fragmentPath}), and nothing can start it.`,
      `Find out who masked it and why; then: systemctl unmask ${unit}`,
    );
  }
  if (loadState === 'bad-setting' || loadState === 'error' || unitFileState === 'bad') {
    return new RlnetError(
      'UNIT_BAD_SETTING',
      `systemd cannot use the unit file of ${unit} (LoadState=${loadState}, FragmentPath=${fragmentPath}).`,
      `systemd-analyze verify ${unit} says what is wrong with it; correct it, then: systemctl daemon-reload`,
    );
  }
  if (unitFileState === 'generated') {
    return new RlnetError(
      'UNIT_GENERATED',
      `${unit} has no unit file: a generator made it${sourcePath === '' ? '' : ` from ${sourcePath}`} (${asIs}).`,
      'Give RS a unit file of its own, as its installer does.',
    );
  }
  const linked = [...links, ...otherLinks].find(({ path }) => nameIn(path) === unit && isUnitFileLink(path));
  if (unitFileState === 'linked-runtime' || linked?.path.startsWith('/run/') === true) {
    return new RlnetError(
      'UNIT_LINKED_RUNTIME',
      `The unit file of ${unit} is a link under /run${arrow(linked)}, which is gone after a restart of the host.`,
      'Copy the unit file itself to /etc/systemd/system, then: systemctl daemon-reload',
    );
  }
  // Not by UnitFileState alone: systemd 252 calls a linked unit that was enabled `enabled`.
  if (unitFileState === 'linked' || linked !== undefined) {
    return new RlnetError(
      'UNIT_LINKED',
      `The unit file of ${unit} is a link${arrow(linked)}: disable would remove it, and enable would not find it again.`,
      'Replace the link with a copy of the unit file, then: systemctl daemon-reload',
    );
  }
  if (unitFileState === 'transient' || fragmentPath.startsWith('/run/')) {
    return new RlnetError(
      'UNIT_TRANSIENT',
      `The unit file of ${unit} is gone after a restart of the host (${asIs}).`,
      'Give RS a unit file under /usr/lib/systemd/system or /etc/systemd/system, as its installer does.',
    );
  }
  if (unitFileState === 'static') {
    return new RlnetError(
      'UNIT_STATIC',
      `${unit} cannot be enabled or disabled: its unit file has no [Install] section (${asIs}).`,
      'Add an [Install] section with WantedBy=multi-user.target in a drop-in, and enable it.',
    );
  }
  if (unitFileState === 'indirect') {
    return new RlnetError(
      'UNIT_INDIRECT',
      `${unit} is started by way of other units that its [Install] section names (${asIs}).`,
      'Name the unit that is enabled itself as rs.unit in /etc/rlnet/agent.yaml, if that is the one that runs RS.',
    );
  }
  if (unitFileState === 'enabled-runtime') {
    return new RlnetError(
      'UNIT_ENABLED_RUNTIME',
      `${unit} is enabled only until the next restart of the host.`,
      `Enable it for good: systemctl enable ${unit}`,
    );
  }
  if (unitFileState === 'disabled') {
    return new RlnetError(
      'UNIT_DISABLED',
      `${unit} is disabled already: RS stays away after any restart of the host.`,
      `Find out who disabled it and why; then: systemctl enable ${unit}`,
    );
  }
  if (unitFileState !== 'enabled') {
    return new RlnetError(
      'UNIT_STATE_UNKNOWN',
      `rlnet does not know what it means for ${unit} that ${asIs}.`,
      'Report this with the output of systemctl --version.',
    );
  }
  if (links.every(({ dependant }) => dependant === '')) {
    return new RlnetError(
      'UNIT_ALIAS_ONLY',
      `To enable ${unit} gives it another name, and nothing that would start it when the host starts.`,
      'Add WantedBy=multi-user.target to its [Install] section in a drop-in, and enable it again.',
    );
  }
  return undefined;
}

function judgeReload({ unit, needDaemonReload }: UnitRecord): RlnetError | undefined {
  if (!needDaemonReload) return undefined;
  return new RlnetError(
    'UNIT_RELOAD_NEEDED',
    `The files of ${unit} have changed since systemd read them, so that a restart may bring another unit than this one.`,
    'Look at the change (systemctl cat), then: systemctl daemon-reload',
  );
}

function judgePulls(record: UnitRecord): RlnetError | undefined {
  const own = new Set(record.links.map(({ dependant }) => dependant));
  const pulls = [
    ...pullers(record).filter(({ by }) => !own.has(by)),
    ...record.otherLinks
      .filter(({ dependant }) => dependant !== '')
      .map(({ path, dependant }) => ({ by: dependant, how: `the link ${path}` })),
  ];
  if (pulls.length === 0) return undefined;
  return new RlnetError(
    'UNIT_PULLED_IN',
    `${record.unit} starts also when it is disabled, because of ${listed(pulls)}.`,
    'Take it out of those units, or disable them until the address is changed; systemctl cat shows where it stands.',
  );
}

function judgeAlso({ unit, also }: UnitRecord): RlnetError | undefined {
  if (also.length === 0) return undefined;
  return new RlnetError(
    'UNIT_ENABLES_OTHERS',
    `To disable ${unit} disables ${also.join(' and ')} too (Also= in its [Install] section).`,
    'Take Also= out of the unit file, and enable those units by themselves.',
  );
}

/**
 * Whether `disable` did what it is for.
 *
 * @param now the record, read after it
 * @returns what is against it, if something is
 */
export function judgeDisabled(now: UnitRecord): RlnetError | undefined {
  if (now.unitFileState !== 'disabled' || now.links.length > 0) {
    const left = now.links.map(({ path }) => path).join(', ');
    return new RlnetError(
      'UNIT_STILL_ENABLED',
      `${now.unit} was disabled, and is not: UnitFileState=${now.unitFileState}${left === '' ? '' : `, ${left}`}.`,
      `Run systemctl disable ${now.unit} by hand and see what it says.`,
    );
  }
  const left = pullers(now);
  if (left.length === 0) return undefined;
  return new RlnetError(
    'UNIT_PULLED_IN',
    `${now.unit} is disabled, and starts all the same because of ${listed(left)}.`,
    'Take it out of those units; systemctl cat shows where it stands.',
  );
}

/**
 * Whether `enable` brought back what was.
 *
 * @param before the record from before it was disabled
 * @param now    the record, read after it
 */
export function judgeEnabled(before: UnitRecord, now: UnitRecord): RlnetError | undefined {
  const text = ({ path, target }: UnitLink): string => `${path} → ${target}`;
  const [were, are] = [before.links.map(text), now.links.map(text)];
  const differences = [
    ...(before.unitFileState === now.unitFileState
      ? []
      : [`UnitFileState=${now.unitFileState} instead of ${before.unitFileState}`]),
    ...were.filter((link) => !are.includes(link)).map((link) => `${link} is missing`),
    ...are.filter((link) => !were.includes(link)).map((link) => `${link} was not there before`),
  ];
  if (differences.length === 0) return undefined;
  return new RlnetError(
    'UNIT_NOT_RESTORED',
    `${before.unit} was enabled, and is not as before: ${differences.join('; ')}.`,
    `Run systemctl enable ${before.unit} by hand and see what it says; RS does not start by itself until then.`,
  );
}

/** What starts the unit when something else starts or happens, apart from links. */
function pullers(record: UnitRecord): { by: string; how: string }[] {
  const named = (how: string, units: readonly string[]) =>
    units.map((by) => ({ by, how: `${how} of ${by}` }));
  return [
    ...named('Wants=', record.wantedBy),
    ...named('Requires=', record.requiredBy),
    ...named('Upholds=', record.upheldBy),
    ...named('BindsTo=', record.boundBy),
    ...named('OnFailure=', record.onFailureOf),
    ...named('OnSuccess=', record.onSuccessOf),
    ...record.triggeredBy.map((by) => ({ by, how: by })),
  ];
}

function listed(pulls: readonly { how: string }[]): string {
  return pulls.map(({ how }) => how).join(', ');
}

function arrow(link: UnitLink | undefined): string {
  return link === undefined ? '' : ` (${link.path} → ${link.target})`;
}

function nameIn(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A link at the top of a directory that an operator or `systemctl` writes to, as opposed to one that a package brings. */
function isUnitFileLink(path: string): boolean {
  return /^\/(etc|run)\/systemd\/system\/[^/]+$/.test(path);
}
