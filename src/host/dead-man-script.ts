import { RlnetError } from '../protocol/errors.ts';
import type { Plan } from '../protocol/renumbering/plan.ts';
import { quoted } from './network-owner/replace-script.ts';

export interface DeadManPaths {
  /** Where script, word and mark are. */
  directory: string;
  /** The back-up of the owner's files, with restore.sh and persist.sh; it need not be there. */
  backup: string;
  /** Where a change of the kernel's addresses stands (`createKernelAddresses`). */
  change: string;
}

/** What may stand in a name, beside the quotes that keep it from being anything but a word. */
const shapes = {
  link: /^[^\s/-][^\s/]{0,14}$/,
  mac: /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/,
  unit: /^[A-Za-z0-9_.@:\\-]+$/,
  unitLink: /^\/etc\/systemd\/system\/[^\n\0]+$/,
  target: /^[^\n\0]+$/,
  path: /^\/[^\n\0]*$/,
} as const;

/**
 * The script of the dead man for a plan: plain POSIX shell with coreutils, ip and systemctl. It may be run any number of times, also
 * after a power cut in its middle: each part looks before it acts, and the word that it acts on is noted first.
 *
 * @throws RlnetError DEAD_MAN_FAILED for a plan with a name in it that is none
 */
export function renderDeadMan(plan: Plan, paths: DeadManPaths): string {
  const { from, to, gateway, link } = plan.change;
  const word = (kind: keyof typeof shapes, value: string): string => {
    if (!shapes[kind].test(value)) throw invalid(kind, value);
    return quoted(value);
  };
  const family = from.address.includes(':') ? '-6' : '-4';
  const moves = plan.kind !== 'already_bound';
  const route = (which: 'from' | 'to'): string => (gateway === undefined ? "''" : quoted(gateway[which]));
  const links = plan.unit.links.map(
    ({ path, target }) => `put_link ${word('target', target)} ${word('unitLink', path)}`,
  );
  return `#!/bin/sh
# rlnet: brings node ${plan.nodeUid} back into service (plan ${plan.id}) when the agent has given no sign of life for too long.
# Run by rlnet-dead-man.timer, or by hand: sh ${paths.directory}/script
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
directory=${word('path', paths.directory)}
backup=${word('path', paths.backup)}
change=${word('path', paths.change)}
unit=${word('unit', plan.unit.unit)}
mac=${link.mac === undefined ? "''" : word('mac', link.mac)}
device=${word('link', link.name)}
old=${quoted(from.address)} old_length=${from.prefixLength} old_gateway=${route('from')}
new=${quoted(to.address)} new_length=${to.prefixLength} new_gateway=${route('to')}
cd -- "$directory" || exit 1
say() { echo "rlnet dead man: $*"; }

[ -e finished ] && exit 0
# Kept for this: on a full disk there is room again for the mark and for the files of the network configuration.
rm -f room

known() { case \${1-} in old | new | both) return 0 ;; esac; return 1; }
word=$(cat taken-over 2>/dev/null)
if ! known "$word"; then
  word=$(cat word 2>/dev/null)
  known "$word" || word=old
  # Created by whoever comes first; the agent goes past it no more. One without a word is left of a power cut.
  (set -C; printf '%s\\n' "$word" >taken-over) 2>/dev/null || printf '%s\\n' "$word" >taken-over
  sync
fi
say "no sign of life from the agent; brings the node up by the word $word"

# What the agent was doing ends with it. systemd starts it anew, and then it does no more than look.
members() {
  group=$(systemctl show --property=ControlGroup --value rlnet.service)
  [ -n "$group" ] || return 0
  for root in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    cat "$root$group/cgroup.procs" 2>/dev/null
  done | sort -u
}
before=$(members)
systemctl kill --signal=KILL rlnet.service 2>/dev/null
systemctl stop 'rlnet-run-*.service' 2>/dev/null
left=$before
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  now=$(members)
  left=
  for process in $before; do
    for other in $now; do [ "$process" = "$other" ] && left="$left $process"; done
  done
  [ -z "$left" ] && break
  sleep 1
done
[ -z "$left" ] || say "processes of the agent that do not end:$left"

# A card is known by what a reboot does not change.
if [ -n "$mac" ] && [ "$(cat "/sys/class/net/$device/address" 2>/dev/null)" != "$mac" ]; then
  for candidate in /sys/class/net/*; do
    [ "$(cat "$candidate/address" 2>/dev/null)" = "$mac" ] && device=\${candidate##*/}
  done
fi
bound() { ip ${family} -o address show dev "$device" | awk '{ print $4 }' | grep -qxF -e "$1/$2"; }
bind() { bound "$1" "$2" || ip ${family} address replace "$1/$2" dev "$device"; }
# With promote_secondaries off (ifupdown, NetworkManager) an IPv4 address takes those of its network along that came after it, and with the last
# one all routes go.
release() {
  promote=/proc/sys/net/ipv4/conf/$device/promote_secondaries
  promoted=$(cat "$promote" 2>/dev/null)
  echo 1 2>/dev/null >"$promote"
  for length in "$2" ${family === '-6' ? 128 : 32}; do
    if bound "$1" "$length"; then ip ${family} address del "$1/$length" dev "$device"; fi
  done
  [ -z "$promoted" ] || echo "$promoted" 2>/dev/null >"$promote"
}
gateway() { [ -z "$1" ] || ip ${family} route show default | grep -qF -e "via $1 " || ip ${family} route replace default via "$1"; }
# Whoever owns the link takes its files up; what is not there is not asked.
take_up() {
  if systemctl is-active --quiet systemd-networkd.service; then
    networkctl reload && networkctl reconfigure "$device"
  fi
  if systemctl is-active --quiet NetworkManager.service; then
    nmcli connection reload && nmcli device reapply "$device"
  fi
  sleep 3
}
files() {
  [ -e "$backup/manifest.json" ] || return 0
  sh "$backup/$1" || say "the files of the network configuration could not be written by $1"
}
put_link() {
  [ "$(readlink -- "$2")" = "$1" ] && return 0
  mkdir -p -- "$(dirname -- "$2")"
  ln -sfn -- "$1" "$2"
}

# A change of the kernel that stands for a time must not be taken back later, under a node that runs.
systemctl stop rlnet-take-back-a.timer rlnet-take-back-b.timer 2>/dev/null
if [ -e "$change/change.json" ]; then
  if [ "$word" = old ]; then sh "$change/take-back.sh"; fi
  : >"$change/kept"
fi
${
  moves
    ? `case $word in
  old)
    files restore.sh
    take_up
    bind "$old" "$old_length"
    release "$new" "$new_length"
    gateway "$old_gateway"
    ;;
  new)
    files persist.sh
    take_up
    bind "$new" "$new_length"
    release "$old" "$old_length"
    gateway "$new_gateway"
    ;;
  both)
    bind "$old" "$old_length"
    bind "$new" "$new_length"
    ;;
esac`
    : '# The host has both addresses anyway.'
}

# The very links of before: systemctl enable would not bring back those that somebody made by hand.
${links.join('\n')}
sync
systemctl daemon-reload
systemctl reset-failed "$unit" 2>/dev/null
if ! systemctl start "$unit"; then
  say "$unit does not start; tried again by itself"
  exit 1
fi
: >finished
sync
say "$unit runs; see rlnet renumber show ${plan.id}"
`;
}

function invalid(kind: string, value: string): RlnetError {
  return new RlnetError(
    'DEAD_MAN_FAILED',
    `The plan has a ${kind} that cannot be one: ${JSON.stringify(value)}.`,
    'Plan anew; if it is the same then, report it with the plan.',
  );
}
