import type { Family } from '../protocol/address.ts';
import type { IpCommand } from '../protocol/routing.ts';

/**
 * Prints addresses, routes and rules as text that can be compared: without lifetimes, indexes, carrier, and what detection of duplicates
 * shows for a moment. Sorted, as the order in which the kernel lists its tables means nothing.
 */
export const stateScript = `{
  ip -o -d address show | sed -e 's/^[0-9]*: //' -e 's/ *valid_lft .*//' -e 's/ tentative//' -e 's/ optimistic//'
  for family in -4 -6; do
    ip $family -o -d route show table all | sed -e 's/ expires -*[0-9]*sec//g' -e 's/ linkdown//g' -e 's/ dead//g' -e 's/ error -*[0-9]*//g' -e 's/ *$//'
    ip $family -d rule show
  done
} | sort`;

/** The line that ends a here-document; nothing that ip prints is like it. */
const end = 'RLNET-END';

export interface TakeBack {
  /** What it is about, for whoever reads the script. One line. */
  title: string;
  directory: string;
  /** What `stateScript` printed before anything was done. */
  state: string;
  family: Family;
  commands: readonly IpCommand[];
}

/**
 * A script for /bin/sh that needs nothing of rlnet: to be run by a timer when rlnet is dead, or by hand. It takes the change back
 * from whatever it had reached, looks, and ends with 0 where the kernel is as it was before; `result` then says `same`, and
 * otherwise what differs. Running it twice does nothing more. Once `kept` is there it does nothing.
 */
export function renderTakeBack({ title, directory, state, family, commands }: TakeBack): string {
  return `#!/bin/sh
# rlnet: takes back ${title.replaceAll(/\s+/g, ' ')}
# Run by a timer when rlnet did not say that the change is to stay, or by hand: sh ${directory}/take-back.sh
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
cd ${directory} || exit 1

state() {
${stateScript}
}

before() {
cat <<'${end}'
${state.trimEnd()}
${end}
}

back() {
ip ${family === 'ipv4' ? '-4' : '-6'} -force -batch - <<'${end}'
${batchOf(commands)}${end}
}

same() {
  before >before.txt
  state >now.txt
  cmp -s before.txt now.txt
}

# Whoever changes something has this lock. One that does not end is not waited for.
exec 9>lock
flock -w 20 9
[ -e kept ] && exit 0
: >taken-back
for attempt in 1 2 3; do
  if same; then
    echo same >result
    exit 0
  fi
  [ $attempt = 1 ] || sleep 1
  # Complaints are expected: what is not there cannot be deleted, and what is there cannot be added.
  back >back.log 2>&1
done
same && { echo same >result; exit 0; }
diff before.txt now.txt >result
cat result >&2
exit 1
`;
}

/** A file for `ip -batch`: a command a line. */
export function batchOf(commands: readonly IpCommand[]): string {
  return commands.map((words) => `${words.join(' ')}\n`).join('');
}
