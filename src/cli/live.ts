import logUpdate from 'log-update';

/** Replaces what was shown before on this terminal. */
export function showInPlace(text: string): void {
  logUpdate(text);
}
