import type { RlnetError } from '../../protocol/errors.ts';

/** An error as people see it, on standard error: where, what, what to do. */
export function renderError(error: RlnetError): string {
  const { at } = error;
  const place =
    at === undefined
      ? ''
      : `${[at.file, at.line, at.column].filter((part) => part !== undefined).join(':')}: `;
  return `rlnet: ${place}${error.code}: ${error.message}\n  ${error.remedy}\n`;
}
