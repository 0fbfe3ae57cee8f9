import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

/** Asks on the terminal; with `hidden` nothing that is typed is shown. */
export async function askOnTerminal(
  { input, output }: { input: NodeJS.ReadableStream; output: NodeJS.WritableStream },
  question: string,
  hidden: boolean,
): Promise<string> {
  output.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: hidden ? silent : output, terminal: hidden });
  try {
    const answer = await lines.question('');
    if (hidden) output.write('\n');
    return answer;
  } finally {
    lines.close();
  }
}
