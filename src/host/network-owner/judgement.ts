import { type Address, tryParseAddress } from '../../protocol/address.ts';
import { toByteText } from '../../protocol/byte-text.ts';
import type { FileEdit } from '../../protocol/network-owner.ts';

/*
 * What the owner's own tool makes of the files, before the change and after it: it has to differ in the addresses that were changed, and in
 * nothing else.
 */

/**
 * @param before what the tool would do, line by line, with the files as they were
 * @param after the same with the files as they are to be
 * @returns what is wrong, in words that go on from “the tool”; undefined where nothing is
 */
export function wrongOutcome(
  edits: readonly FileEdit[],
  before: readonly string[],
  after: readonly string[],
): string | undefined {
  const { gone, come } = replaced(edits);
  const pairs = before.map((line, index): [string, string | undefined] => [line, after[index]]);
  const differing = pairs.filter(([line, next]) => line !== next);
  if (before.length !== after.length) {
    return `makes ${after.length} lines of the changed files, and ${before.length} of those before`;
  }
  if (differing.length === 0) return 'makes the same of the changed files as of those before';
  const stray = differing.find(
    ([line, next = '']) =>
      !addressesIn(line).some((each) => gone.has(each)) || !addressesIn(next).some((each) => come.has(each)),
  );
  if (stray === undefined) return undefined;
  return `makes “${stray[1]?.trim()}” of what was “${stray[0].trim()}”, which is not the change`;
}

/** The addresses that the edits took out and put in: they replace words, so words of both sides stand in the same order. */
function replaced(edits: readonly FileEdit[]): { gone: Set<Address>; come: Set<Address> } {
  const gone = new Set<Address>();
  const come = new Set<Address>();
  for (const { before, after } of edits) {
    const [old, next] = [before, after].map((bytes) => wordsOf(toByteText(bytes)));
    for (const [index, word] of (old ?? []).entries()) {
      const other = next?.[index] ?? '';
      if (word === other) continue;
      const [from, to] = [tryParseAddress(word), tryParseAddress(other)];
      if (from !== undefined) gone.add(from);
      if (to !== undefined) come.add(to);
    }
  }
  return { gone, come };
}

function addressesIn(text: string): Address[] {
  return wordsOf(text).flatMap((word) => tryParseAddress(word) ?? []);
}

function wordsOf(text: string): string[] {
  return text.match(/[0-9A-Fa-f:.]+/g) ?? [];
}
