import type { AddressChange } from './address-change.ts';
import { RlnetError } from './errors.ts';
import { describeRule, type IpCommand, type Rule, ruleCommand } from './routing.ts';

export interface ChangedRules {
  after: Rule[];
  forward: IpCommand[];
  /** What is to be done before and after the addresses are as they were. */
  back: { first: IpCommand[]; last: IpCommand[] };
}

/** Rules from the old address become rules from the new one; those from its network, or to it, stay. */
export function changeRules(rules: readonly Rule[], change: AddressChange): ChangedRules {
  const after = rules.map((rule) => changeRule(rule, change));
  // Among rules of one priority the one added first comes first: from the first that changes on, all are made anew.
  const anew = [...Map.groupBy(rules.keys(), (index) => priorityOf(rules[index]))].flatMap(([, indexes]) => {
    const first = indexes.findIndex((index) => after[index] !== rules[index]);
    return first < 0 ? [] : indexes.slice(first);
  });
  const old = anew.flatMap((index) => rules[index] ?? []);
  const next = anew.flatMap((index) => after[index] ?? []);
  for (const rule of old) refuseUnknown(rule);
  return {
    after,
    forward: [
      ...old.map((rule) => ruleCommand('del', rule)),
      ...next.map((rule) => ruleCommand('add', rule)),
    ],
    back: {
      first: [...next, ...old].map((rule) => ruleCommand('del', rule)),
      last: old.map((rule) => ruleCommand('add', rule)),
    },
  };
}

function changeRule(rule: Rule, { from, to }: AddressChange): Rule {
  const [address = '', length] = rule.from.split('/');
  if (address !== from.address) return rule;
  // A rule keeps the host bits that it was given: `from 10.0.0.5/24` is one from this address's network by this address.
  return { ...rule, from: length === undefined ? to.address : `${to.address}/${length}` };
}

function priorityOf(rule: Rule | undefined): string {
  return `${rule?.family} ${rule?.priority}`;
}

function refuseUnknown(rule: Rule): void {
  if (rule.other === undefined) return;
  throw new RlnetError(
    'ADDRESS_CHANGE_REFUSED',
    `The rule ${describeRule(rule)} would have to be made again, and has what is not known here.`,
    'Remove the rule first, or change the address by hand.',
  );
}
