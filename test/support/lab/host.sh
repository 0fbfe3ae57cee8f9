#!/bin/sh
# host.sh LAB HOST ROOT NSPAWN-OPTION...: one host, from power on to power off, through its reboots.
#
# Runs inside the lab's namespaces. /run/lab/HOST/upper is the host's disk over the shared ROOT, which may be several
# folders joined by colons, and outlives power-offs. Each boot has a network namespace of its own with the same two cards: what was configured is gone
# after a reboot and what was plugged in is not, as on any machine.
set -eu
umask 022
lab=$1 host=$2 root=$3
shift 3
dir=/run/lab/$host
cgroup=/sys/fs/cgroup/rlnet-lab.$lab
echo $$ >"$cgroup/keeper/cgroup.procs"

if ! mountpoint -q "$dir/root"; then
  mkdir -p "$dir/work" "$dir/root"
  mount -t overlay -o "lowerdir=$root,upperdir=$dir/upper,workdir=$dir/work" \
    "rlnet-lab.$lab.$host" "$dir/root"
  sh "$dir/install.sh" "$dir/root"
fi

plug_in() { # NETWORK INTERFACE MAC
  ip link add "$host-$1" type veth peer name "$2" netns "$host" address "$3"
  ip link set "$host-$1" master "$1" up
}
pull_out() {
  # Gone already where the host has removed its end.
  if ip link show "$host-$1" >/dev/null 2>&1; then ip link delete "$host-$1"; fi
}

# systemd-nspawn ends with 133 when the host asked for a reboot, and with anything else when it is off. The cgroup
# is there exactly while the host is on: it is made first and removed last.
status=133
while [ $status -eq 133 ]; do
  mkdir "$cgroup/$host"
  ip netns add "$host"
  while read -r network interface mac; do plug_in "$network" "$interface" "$mac"; done <"$dir/cards"
  status=0
  # /proc/sys/net is the host's own and it may write there, as on any machine.
  SYSTEMD_NSPAWN_API_VFS_WRITABLE=network \
    sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$cgroup/$host" \
    systemd-nspawn --quiet --directory="$dir/root" --machine="$host" --hostname="$host" --boot \
    --register=no --keep-unit --settings=no --link-journal=no --resolv-conf=off --timezone=off \
    --console=read-only --network-namespace-path="/run/netns/$host" --capability=CAP_NET_ADMIN "$@" || status=$?
  while read -r network _; do pull_out "$network"; done <"$dir/cards"
  ip netns delete "$host"
  # The last processes may still be on their way out.
  tries=0
  until find "$cgroup/$host" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries -eq 100 ]; do
    sleep 0.05
    tries=$((tries + 1))
  done
done
exit $status
