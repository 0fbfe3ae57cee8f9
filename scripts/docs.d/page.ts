import type { Check } from '../../src/agent/findings/check.ts';
import { checkGroups } from '../../src/agent/findings/findings.ts';

const intro = `# Findings

What \`rlnet check\` looks for, and \`rlnet status\` shows while it lasts. A finding with the outcome \`unknown\` means that the question could
not be answered; its evidence says why. Codes are stable. \`error\` stops or will stop service, \`warning\` is a risk, \`info\` is worth knowing; the
exit status of \`rlnet check\` is 20, 10 and 0, an unknown answer counts as a warning.

A finding is shown as soon as it is seen, unless it says otherwise, and goes as soon as it is mended. While a cause is there, what follows from it is not
shown; \`rlnet check\` lists it with the cause. An answer that was known and is not any more is shown after 20 seconds. What the kernel tells is seen
at once, the rest when it is read next: the unit and files within 5 seconds, RS's node table by one host
after the other. Where there are three or more, one of them sees a change within 5 seconds, and the others a second or two later.

This page is written from the code: \`npm run docs\`.
`;

/** docs/findings.md as the code has it. */
export function findingsPage(): string {
  const groups = checkGroups.map(({ title, checks }) => `\n## ${title}\n\n${checks.map(section).join('\n')}`);
  return intro + groups.join('');
}

function section({ code, title, severity, about, remedy, showAfterMs, clearAfterMs, behind }: Check): string {
  const facts = [
    `Severity: ${severity}.`,
    ...(showAfterMs === undefined ? [] : [`Shown once it has lasted for ${duration(showAfterMs)}.`]),
    ...(clearAfterMs === undefined ? [] : [`Gone once it has stayed away for ${duration(clearAfterMs)}.`]),
    ...(behind === undefined
      ? []
      : [`Not shown behind ${behind.map((cause) => `\`${cause}\``).join(', ')}.`]),
  ];
  return `### ${code}\n\n${title}. ${facts.join(' ')}\n\n${about}\n\nRemedy: ${remedy.replace(/\.?$/, '.')}\n`;
}

function duration(ms: number): string {
  return ms < 60_000 ? `${ms / 1000} s` : `${ms / 60_000} min`;
}
