import { type Check, failIfAny } from './check.ts';

const dayMs = 86_400_000;
/** The last tenth of its term, and no more than the last thirty days of it. */
const share = 0.1;
const most = 30 * dayMs;

export const certificateEnds: Check = {
  code: 'CERTIFICATE_ENDS_SOON',
  title: 'A certificate of the mesh ends soon',
  severity: 'warning',
  about:
    'It is in the last tenth of its term, or in its last thirty days where a tenth is more. When it has ended no other agent talks to this host, and no address of it can be changed or brought back.',
  remedy: 'Make a new one (rlnet tls create-host) and put it in its place; the agent takes it up by itself.',
  behind: ['CERTIFICATE_OVER'],
  judge({ certificates, now }) {
    const soon = certificates.filter(
      ({ notBefore, notAfter }) => notAfter - now < Math.min(most, share * (notAfter - notBefore)),
    );
    return failIfAny(
      soon.map(({ name, notAfter }) => `${name} ends on ${new Date(notAfter).toISOString()}`),
      'none does',
    );
  },
};
