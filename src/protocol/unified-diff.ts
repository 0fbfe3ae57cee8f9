/** Lines of both sides that a diff shows around a change. */
const context = 3;

/** A line that stayed (` `), went (`-`) or came (`+`), with its newline if it has one. */
interface DiffLine {
  sign: ' ' | '-' | '+';
  text: string;
}

/** What `diff -u` prints for one file; empty where there is no difference. */
export function unifiedDiff(path: string, before: string, after: string): string {
  if (before === after) return '';
  const hunks = hunksOf(compareLines(linesOf(before), linesOf(after)));
  return [`--- ${path}\n`, `+++ ${path}\n`, ...hunks].join('');
}

function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** By the longest common subsequence of what is left between the common beginning and the common end. */
function compareLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) {
    end++;
  }
  const stays = (lines: readonly string[]): DiffLine[] => lines.map((text) => ({ sign: ' ', text }));
  return [
    ...stays(before.slice(0, start)),
    ...compareMiddle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...stays(before.slice(before.length - end)),
  ];
}

function compareMiddle(before: readonly string[], after: readonly string[]): DiffLine[] {
  // common[i][j]: how many lines before.slice(i) and after.slice(j) have in common, in order.
  const width = after.length + 1;
  const common = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * width + j] =
        before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const [old, next] = [before[i], after[j]];
    if (old !== undefined && old === next) {
      lines.push({ sign: ' ', text: old });
      i++;
      j++;
    } else if (old !== undefined && (next === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: '-', text: old });
      i++;
    } else {
      lines.push({ sign: '+', text: next ?? '' });
      j++;
    }
  }
  return lines;
}

function hunksOf(lines: readonly DiffLine[]): string[] {
  const changed = [...lines.keys()].filter((index) => lines[index]?.sign !== ' ');
  const ranges: { from: number; to: number }[] = [];
  for (const index of changed) {
    const last = ranges.at(-1);
    const to = Math.min(lines.length, index + context + 1);
    if (last !== undefined && index - context <= last.to) last.to = to;
    else ranges.push({ from: Math.max(0, index - context), to });
  }
  return ranges.map(({ from, to }) => {
    const hunk = lines.slice(from, to);
    const side = (sign: '-' | '+'): string => {
      const count = (part: readonly DiffLine[]): number =>
        part.filter((line) => line.sign === ' ' || line.sign === sign).length;
      const length = count(hunk);
      const first = count(lines.slice(0, from)) + (length === 0 ? 0 : 1);
      return length === 1 ? `${first}` : `${first},${length}`;
    };
    return `@@ -${side('-')} +${side('+')} @@\n${hunk.map(written).join('')}`;
  });
}

function written({ sign, text }: DiffLine): string {
  return text.endsWith('\n') ? `${sign}${text}` : `${sign}${text}\n\\ No newline at end of file\n`;
}
