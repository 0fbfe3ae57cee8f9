/**
 * Whether a build of RS can take an IPv6 address with `::1` in its text for loopback (RS188659): those before 7.22.2-170, and 8.x before 8.2.0-25.
 */
export function mistakesForLoopback(version: string): boolean {
  const fixed =
    isAtLeast(version, [8, 2, 0, 25]) || (isAtLeast(version, [7, 22, 2, 170]) && !isAtLeast(version, [8, 0]));
  return !fixed;
}

/** Whether a build of RS can use IPv6 inside: it came with 7.4.2 (RS/networking/multi-ip-ipv6). */
export function knowsInternalIpv6(version: string): boolean {
  return isAtLeast(version, [7, 4, 2]);
}

/** `8.2.0-25` number by number; what is missing counts as 0, what is no number as too old. */
function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const have = version.split(/[.-]/).map(Number);
  for (const [index, want] of wanted.entries()) {
    const got = have[index] ?? 0;
    if (got !== want) return got > want;
  }
  return true;
}
