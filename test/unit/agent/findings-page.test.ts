import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { findingsPage } from '../../../scripts/docs.d/page.ts';

it('is in the docs as the code has it, one heading a finding (npm run docs writes it)', () => {
  const page = readFileSync(new URL('../../../docs/findings.md', import.meta.url), 'utf8');
  expect(page).toBe(findingsPage());
});
