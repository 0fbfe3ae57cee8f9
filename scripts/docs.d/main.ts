import { writeFileSync } from 'node:fs';
import { findingsPage } from './page.ts';

/** Writes docs/findings.md anew from the checks. */
writeFileSync(new URL('../../docs/findings.md', import.meta.url), findingsPage());
