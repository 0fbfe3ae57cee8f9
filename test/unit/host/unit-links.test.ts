import { mkdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adjustLinks, dependantOf, findLinks, syncDirectories } from '../../../src/host/unit-links.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const names = ['rs.service', 'alias.service'];

/** A directory of unit files with these links, by path within it. */
async function withLinks(links: Readonly<Record<string, string>>): Promise<string> {
  const root = await temporaryDirectory();
  await mkdir(join(root, 'multi-user.target.wants'));
  for (const [path, target] of Object.entries(links)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await symlink(target, join(root, path));
  }
  return root;
}

describe('findLinks', () => {
  it('finds what systemctl disable would remove, by name and by target, and nothing else', async () => {
    const root = await withLinks({
      'multi-user.target.wants/rs.service': '/lib/systemd/system/rs.service',
      'a.target.requires/alias.service': '../rs.service',
      'b.target.upholds/rs.service': '/lib/systemd/system/rs.service',
      'made-by-hand.service': '/srv/rs.service',
      'multi-user.target.wants/other.service': '/lib/systemd/system/other.service',
      'other.service.d/rs.service': '/lib/systemd/system/rs.service',
    });
    await writeFile(join(root, 'rs.service'), '[Unit]\n');
    const found = await findLinks([root], names);
    expect(found.map(({ path, target }) => [path.slice(root.length + 1), target])).toEqual([
      ['a.target.requires/alias.service', '../rs.service'],
      ['b.target.upholds/rs.service', '/lib/systemd/system/rs.service'],
      ['made-by-hand.service', '/srv/rs.service'],
      ['multi-user.target.wants/rs.service', '/lib/systemd/system/rs.service'],
    ]);
    expect(found.map(dependantOf)).toEqual(['a.target', 'b.target', undefined, 'multi-user.target']);
  });

  it('looks once at a directory with two names, and at none that is not there', async () => {
    const root = await withLinks({ 'multi-user.target.wants/rs.service': '/lib/systemd/system/rs.service' });
    await symlink(root, `${root}-too`);
    expect(await findLinks([root, `${root}-too`, '/nowhere'], names)).toHaveLength(1);
  });
});

describe('adjustLinks', () => {
  it('puts back what is missing, takes away what enable made beyond it, and touches nothing from before', async () => {
    const mine = 'multi-user.target.wants/rs.service';
    const root = await withLinks({ [mine]: '/lib/systemd/system/rs.service', 'alias.service': '/dev/null' });
    const wanted = (await findLinks([root], names)).filter(({ path }) => path.endsWith(mine));
    const before = await findLinks([root], names);
    const missing = { path: join(root, 'gone.target.requires/rs.service'), target: '../rs.service' };
    await mkdir(join(root, 'c.target.wants'));
    await symlink('/lib/systemd/system/rs.service', join(root, 'c.target.wants/rs.service'));
    const after = await findLinks([root], names);

    expect(await adjustLinks([...wanted, missing], before, after)).toBe(true);
    expect(await readlink(missing.path)).toBe('../rs.service');
    const left = (await findLinks([root], names)).map(({ path }) => path.slice(root.length + 1));
    expect(left).toEqual(['alias.service', 'gone.target.requires/rs.service', mine]);
    const now = await findLinks([root], names);
    expect(await adjustLinks([...wanted, missing], now, now)).toBe(false);
  });

  it('gives a link that enable made the target that it had', async () => {
    const root = await withLinks({});
    const path = join(root, 'multi-user.target.wants/rs.service');
    await symlink('/lib/systemd/system/rs.service', path);
    const after = await findLinks([root], names);
    expect(await adjustLinks([{ path, target: '../rs.service' }], [], after)).toBe(true);
    expect(await readlink(path)).toBe('../rs.service');
  });
});

it('a directory that systemctl removed is no obstacle to syncing', async () => {
  const root = await temporaryDirectory();
  await expect(syncDirectories([root, join(root, 'multi-user.target.wants')])).resolves.toBeUndefined();
});
