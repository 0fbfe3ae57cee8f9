import type { UnitRecord } from '../protocol/unit.ts';
import type { Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import { show, showUnit } from './systemctl.ts';
import { dependantOf, type FoundLink, findLinks } from './unit-links.ts';
import { parseUnitState, stateProperties } from './units.ts';

/** Where `systemctl enable` and `disable` work (systemd.unit(5), "Unit File Load Path"). */
export const configuredUnits = '/etc/systemd/system';

const recordProperties = [
  ...stateProperties,
  ...['Names', 'FragmentPath', 'SourcePath', 'DropInPaths', 'NeedDaemonReload', 'WantedBy', 'RequiredBy'],
  ...['UpheldBy', 'BoundBy', 'ConsistsOf', 'TriggeredBy', 'OnFailureOf', 'OnSuccessOf'],
];

/** Reads the record of a unit: what systemd has loaded, and the links as they are on the disk. */
export function unitRecorder(exec: Exec, files: Files): (unit: string) => Promise<UnitRecord> {
  /** The own names of the units in whose directories links lie: `default.target.wants` is another unit's under an alias. */
  const dependantsOf = async (links: readonly FoundLink[]): Promise<(link: FoundLink) => string> => {
    const directories = [...new Set(links.map(dependantOf))].filter((unit) => unit !== undefined);
    if (directories.length === 0) return () => '';
    const shown = await show(exec, ['Id'], directories);
    const ids = new Map(directories.map((unit, index) => [unit, shown[index]?.filled('Id') ?? unit]));
    return (link) => ids.get(dependantOf(link) ?? '') ?? '';
  };

  /** `Also=` of the unit's files: systemd has no property for it. */
  const alsoIn = async (paths: readonly string[]): Promise<string[]> => {
    const texts = await Promise.all(
      paths.filter((path) => path !== '').map((path) => files.readIfExists(path)),
    );
    return [...new Set(texts.flatMap((text) => parseAlso(text ?? '')))].toSorted();
  };

  return async (unit) => {
    const [shown, [manager]] = await Promise.all([
      showUnit(exec, recordProperties, unit),
      show(exec, ['UnitPath'], []),
    ]);
    const list = (text: string): string[] => text.split(' ').filter((word) => word !== '');
    const units = (name: string): string[] => list(shown.present(name)).toSorted();
    // Newer than systemd 239, or never of a service.
    const unitsIfKnown = (name: string): string[] => list(shown.optional(name)).toSorted();
    const names = units('Names');
    const fragmentPath = shown.present('FragmentPath');
    const dropInPaths = list(shown.present('DropInPaths'));
    const searched = list(manager?.filled('UnitPath') ?? '');
    const own = await findLinks([configuredUnits], names);
    const others = (await findLinks(searched, names)).filter(
      ({ path }) => !own.some((link) => link.path === path),
    );
    const dependants = await dependantsOf([...own, ...others]);
    return {
      ...parseUnitState(shown),
      names,
      fragmentPath,
      sourcePath: shown.optional('SourcePath'),
      dropInPaths,
      needDaemonReload: shown.filled('NeedDaemonReload') === 'yes',
      wantedBy: units('WantedBy'),
      requiredBy: units('RequiredBy'),
      upheldBy: unitsIfKnown('UpheldBy'),
      boundBy: units('BoundBy'),
      consistsOf: units('ConsistsOf'),
      triggeredBy: units('TriggeredBy'),
      onFailureOf: unitsIfKnown('OnFailureOf'),
      onSuccessOf: unitsIfKnown('OnSuccessOf'),
      also: await alsoIn([fragmentPath, ...dropInPaths]),
      links: own.map((link) => ({ ...link, dependant: dependants(link) })),
      otherLinks: others.map((link) => ({ ...link, dependant: dependants(link) })),
    };
  };
}

/**
 * The units that `Also=` names in the [Install] section of a unit file. Lines can be continued with a backslash, with comments in
 * between (systemd.syntax(7)).
 */
export function parseAlso(text: string): string[] {
  const lines = text
    .replaceAll(/^[ \t]*[#;].*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim());
  let section = '';
  return lines.flatMap((line) => {
    if (line.startsWith('[')) section = line;
    const words = /^Also\s*=(?<words>.*)$/.exec(line)?.groups?.['words'];
    return section === '[Install]' && words !== undefined
      ? words.split(/\s+/).filter((word) => word !== '')
      : [];
  });
}
