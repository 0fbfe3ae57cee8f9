#!/bin/sh
# inside.sh NAME: PID 1 of a lab's namespaces: makes its networks, says `ready PID`, and then just lives.
#
# Standard input is the life line: as long as the process that brings the lab up has not written `stay`, the end
# of that process, however it comes, ends the lab.
set -eu
# Opened by this shell itself while /proc is still the outer one: the PID by which the others know us.
read -r pid _ </proc/self/stat
mount -t proc proc /proc
mount -t tmpfs -o mode=0755 "rlnet-lab.$1" /run
mkdir -p /run/lab /run/lock

ip link set lo up
# The hosts' gateways. With an address of their own, as that of a port would change whenever the host behind it restarts.
bridge() {
  ip link add "$1" address "$4" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
  ip address add "$2" dev "$1"
  ip address add "$3" dev "$1" nodad
  ip link set "$1" up
}
bridge internal 10.77.0.1/24 fd77:0:0:1::fe01/64 52:54:00:77:00:01
bridge external 10.88.0.1/24 fd88:0:0:1::fe01/64 52:54:00:88:00:01

# `cut` holds the bridge ports whose packets vanish: no carrier goes down and nobody is told.
nft -f - <<'RULES'
table bridge lab {
  set cut { type ifname; }
  chain from { type filter hook prerouting priority 0; iifname @cut drop; }
  chain to { type filter hook postrouting priority 0; oifname @cut drop; }
}
RULES

echo "ready $pid"
exec >/dev/null 2>&1
if read -r word && [ "$word" = stay ]; then
  while :; do sleep 86400; done
fi
