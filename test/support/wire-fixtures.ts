import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../fixtures/wire/v1/', import.meta.url);

/** One frame as an agent of protocol version 1 sent it. */
export interface WireFixture {
  name: string;
  text: string;
  /** The text as plain JSON, read by no decoder of ours. */
  message: { type: string; [field: string]: unknown };
}

export const fixtures: readonly WireFixture[] = readdirSync(folder)
  .sort()
  .map((file) => {
    const text = readFileSync(new URL(file, folder), 'utf8').trimEnd();
    return { name: file.replace('.json', ''), text, message: JSON.parse(text) as WireFixture['message'] };
  });
