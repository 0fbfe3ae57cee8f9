/*
 * Configuration files as text in which each character is one byte (ISO 8859-1): whatever bytes a file has, in comments above all,
 * come out again as they went in, and positions in the text are positions in the file.
 */

export function toByteText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The bytes of a text that `toByteText` made. What is spliced into it must be ASCII, as addresses are. */
export function fromByteText(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** `text` in the place of what stands from `start` up to `end`. */
export interface Splice {
  start: number;
  end: number;
  text: string;
}

/** The text with each splice made; all positions are those of the text as given. They must not overlap. */
export function spliced(text: string, splices: readonly Splice[]): string {
  const ordered = splices.toSorted((a, b) => a.start - b.start);
  let result = '';
  let position = 0;
  for (const splice of ordered) {
    if (splice.start < position || splice.end < splice.start || splice.end > text.length) {
      throw new RangeError(
        `a splice from ${splice.start} to ${splice.end} of ${text.length} overlaps or is outside`,
      );
    }
    result += text.slice(position, splice.start) + splice.text;
    position = splice.end;
  }
  return result + text.slice(position);
}

/** The line that a position is on, counted from 1 by newlines, as editors do. */
export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < position; at = text.indexOf('\n', at + 1)) line++;
  return line;
}
