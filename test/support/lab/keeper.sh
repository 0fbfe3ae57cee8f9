#!/bin/sh
# keeper.sh hold NAME: keeps the lab NAME in namespaces of its own, and clears away what outlives processes.
# keeper.sh clear NAME: that clearing alone, for a lab whose keeper was killed.
#
# Runs in a mount namespace of its own. Processes, mounts, links and bridges of a lab all live in the namespaces
# of `inside.sh`, which is PID 1 there: they are gone as soon as it is. What is left for us to remove by name is
# the lab's cgroup and its folder under /run. The cgroup doubles as the lock on the name: mkdir makes it or fails.
set -eu
action=$1 name=$2
run=/run/rlnet-lab/$name
here=$(dirname "$0")

# One cgroup v2 tree at the usual place, whatever the machine's own layout. An existing mount is bound, not
# mounted anew: a new mount would reset the options (nsdelegate) of the machine's own.
is_cgroup2() { [ "$(stat -f -c %T "$1" 2>/dev/null)" = cgroup2fs ]; }
if ! is_cgroup2 /sys/fs/cgroup; then
  if is_cgroup2 /sys/fs/cgroup/unified; then
    mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
  else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  fi
fi
cgroup=/sys/fs/cgroup/rlnet-lab.$name

populated() { grep -q '^populated 1' "$cgroup/cgroup.events" 2>/dev/null; }

clear_away() {
  if [ -d "$cgroup" ]; then
    echo 1 >"$cgroup/cgroup.kill"
    tries=0
    while populated && [ $tries -lt 200 ]; do
      sleep 0.05
      tries=$((tries + 1))
    done
    find "$cgroup" -depth -type d -exec rmdir {} \;
  fi
  rm -rf --one-file-system "$run"
  rmdir /run/rlnet-lab 2>/dev/null || true
}

if [ "$action" = clear ]; then
  clear_away
  exit 0
fi

if [ -d "$cgroup" ] && ! populated; then clear_away; fi
if ! mkdir "$cgroup" 2>/dev/null; then
  echo "taken"
  exit 1
fi
origin=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir "$cgroup/keeper"
echo $$ >"$cgroup/keeper/cgroup.procs"
mkdir -p "$run"

# The lab ends with this process, even when it is killed; and this process outlives the lab to clear away.
exec 3<&0
setpriv --pdeathsig KILL \
  unshare --mount --pid --net --uts --ipc --fork --kill-child sh "$here/inside.sh" "$name" <&3 &
child=$!
# Whoever reads what we say may be gone by the time we clear away.
exec 3<&- >/dev/null 2>&1
trap 'kill -KILL $child' INT TERM HUP
status=0
wait $child || status=$?
trap '' INT TERM HUP
# Out of the cgroup that is to go; the session that we came from may have ended with its own.
echo $$ >"$origin/cgroup.procs" || echo $$ >/sys/fs/cgroup/cgroup.procs
clear_away
exit $status
