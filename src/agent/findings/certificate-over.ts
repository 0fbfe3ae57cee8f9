import { type Check, failIfAny } from './check.ts';

export const certificateOver: Check = {
  code: 'CERTIFICATE_OVER',
  title: 'A certificate of the mesh is not valid now',
  severity: 'error',
  about:
    'It has ended, or does not hold yet by the clock of this host. Links that are there go on for now; none can be made anew.',
  remedy:
    'See whether the clock is right (timedatectl); else make a new certificate (rlnet tls create-host).',
  judge({ certificates, now }) {
    return failIfAny(
      certificates.flatMap(({ name, notBefore, notAfter }) => {
        if (now > notAfter) return [`${name} ended on ${new Date(notAfter).toISOString()}`];
        return now < notBefore ? [`${name} holds from ${new Date(notBefore).toISOString()} on`] : [];
      }),
      'all of them are',
    );
  },
};
