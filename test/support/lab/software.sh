#!/bin/sh
# software.sh TARGET ROOT DEB NODE: what `dpkg -i DEB` changes on the hosts' root file system ROOT, as a layer over it at TARGET.
#
# Runs as PID 1 of a PID and mount namespace of its own, as root-fs.sh does. Builders wait for each other; TARGET appears
# complete or not at all. NODE is the one copy of the Node binary that all layers share as long as it is the same.
set -eu
target=$1 root=$2 deb=$3 node=$4
cache=$(dirname "$target")
exec 9>"$cache/lock"
flock 9
[ ! -d "$target" ] || exit 0

umask 022
work="$cache/building"
trap 'rm -rf --one-file-system "$work"' EXIT
rm -rf --one-file-system "$work"
mkdir -p "$work/memory"
# In memory, as the cache may lie on an overlay itself.
mount -t tmpfs -o mode=0755 rlnet-lab "$work/memory"
mkdir "$work/memory/layer" "$work/memory/work" "$work/memory/root"
mount -t overlay -o "lowerdir=$root,upperdir=$work/memory/layer,workdir=$work/memory/work" rlnet-lab "$work/memory/root"
cp "$deb" "$work/memory/root/rlnet.deb"
mount -t proc proc "$work/memory/root/proc"
DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  chroot "$work/memory/root" dpkg --force-unsafe-io --path-include='/usr/share/*' --install /rlnet.deb >&2
rm "$work/memory/root/rlnet.deb"
umount "$work/memory/root/proc" "$work/memory/root"

binary=opt/rlnet/bin/node
[ -e "$node" ] || { cp "$work/memory/layer/$binary" "$node.new" && mv "$node.new" "$node"; }
rm "$work/memory/layer/$binary"
# Not the extended attributes, with which the overlay remembers where a file came from.
cp -R --no-dereference --preserve=mode,ownership,timestamps "$work/memory/layer" "$work/layer"
ln -f "$node" "$work/layer/$binary"
umount "$work/memory"
mv "$work/layer" "$target"
# One is used by each state of a checkout; no lab lives that long.
find "$cache" -mindepth 1 -maxdepth 1 -name '[0-9a-f]*' -mtime +30 -exec rm -rf {} +
