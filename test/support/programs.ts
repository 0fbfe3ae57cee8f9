import { writeFile } from 'node:fs/promises';
import { createExec } from '../../src/host/exec.ts';
import type { Exec } from '../../src/host/ports/exec.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** The real Exec, on a host where these programs are shell scripts of the test's. All others are the host's own. */
export async function execWithPrograms(scripts: Readonly<Record<string, string>>): Promise<Exec> {
  const directory = await temporaryDirectory();
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(`${directory}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  const resolve = (file: string): string => (Object.hasOwn(scripts, file) ? `${directory}/${file}` : file);
  const exec = createExec();
  return {
    run: (file, args, options) =>
      exec.run(resolve(file), file === 'timeout' ? args.map(resolve) : args, options),
    lines: (file, args, onLine) => exec.lines(resolve(file), args, onLine),
  };
}
