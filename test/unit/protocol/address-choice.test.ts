import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIpAddr } from '../../../src/host/interfaces.ts';
import { familyOf } from '../../../src/protocol/address.ts';
import { chooseAddresses, judgeAddresses } from '../../../src/protocol/address-choice.ts';
import { holdersOf, isActive, isRoutable, isUsable } from '../../../src/protocol/interfaces.ts';
import { choiceHosts, expectedOf, foundOn } from '../../support/choice-hosts.ts';

const captured = (name: string) =>
  readFile(new URL(`../../fixtures/ip-addr/choice/${name}.json`, import.meta.url), 'utf8');

describe('the addresses for a node', () => {
  it.each(choiceHosts)('on a host with $what: $choices.0.is', async (host) => {
    expect(foundOn(host, parseIpAddr(await captured(host.name)))).toEqual(expectedOf(host));
  });

  it('are never loopback or link-local, on any host', async () => {
    for (const { name } of choiceHosts) {
      const own = judgeAddresses(parseIpAddr(await captured(name))).filter(({ text }) =>
        /^(127\.|::1\/|fe80:)/.test(text),
      );
      expect(own.length).toBeGreaterThan(0);
      for (const { internal, external } of own) {
        expect(internal).toMatchObject({
          candidate: false,
          reason: expect.stringMatching(/^loopback|link_local$/),
        });
        expect(external).toEqual(internal);
      }
    }
  });

  it('come with a whole sentence for everything that is said of them', async () => {
    for (const { name, choices } of choiceHosts) {
      const links = parseIpAddr(await captured(name));
      const verdicts = judgeAddresses(links).flatMap(({ internal, external }) => [internal, external]);
      const sentences = [
        ...verdicts.flatMap((verdict) => (verdict.candidate ? verdict.warnings : [verdict])),
        ...choices.flatMap(({ wanted }) => {
          const choice = chooseAddresses(links, wanted);
          if (choice.choice === 'none') return [choice];
          return [{ sentence: choice.why }, ...('warnings' in choice ? choice.warnings : [])];
        }),
      ];
      for (const { sentence } of sentences) {
        expect(sentence).toMatch(/^\S.*[^.]\.$/);
        expect(sentence).not.toMatch(/undefined/);
      }
    }
  });

  it('are bound, active, usable and of one family whenever something is chosen unasked', async () => {
    const links = await Promise.all(choiceHosts.map(async ({ name }) => parseIpAddr(await captured(name))));
    // Hosts that are put together from the links of others are hosts too.
    const anyHost = fc
      .shuffledSubarray(links.flat(), { maxLength: 6 })
      .map((chosen) => chosen.map((link, index) => ({ ...link, index, name: `${link.name}` })));
    fc.assert(
      fc.property(anyHost, fc.option(fc.boolean(), { nil: undefined }), (host, useInternalIpv6) => {
        const choice = chooseAddresses(host, useInternalIpv6 === undefined ? {} : { useInternalIpv6 });
        if (choice.choice === 'none') return;
        if (useInternalIpv6 !== undefined) expect(choice.family).toBe(useInternalIpv6 ? 'ipv6' : 'ipv4');
        const named =
          choice.choice === 'chosen' ? [choice.internal, ...choice.external] : [...choice.candidates];
        expect(named.length).toBeGreaterThan(1);
        for (const address of named) {
          expect(familyOf(address)).toBe(choice.family);
          expect(isRoutable(address)).toBe(true);
          expect(holdersOf(host, address).some(({ link, bound }) => isActive(link) && isUsable(bound))).toBe(
            true,
          );
        }
        const candidates = judgeAddresses(host).filter(
          ({ external, address }) =>
            external.candidate && address !== undefined && familyOf(address) === choice.family,
        );
        expect(choice.choice).toBe(candidates.length === 1 ? 'chosen' : 'ambiguous');
      }),
    );
  });
});
