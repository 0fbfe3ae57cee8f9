#!/bin/sh
# root-fs.sh DIRECTORY PACKAGES: builds the root file system of the hosts at DIRECTORY, once.
#
# Runs as PID 1 of a PID and mount namespace of its own, so that whatever ends it also ends what it started and
# drops what it mounted. Builders wait for each other on the lock; DIRECTORY appears complete or not at all.
# Packages come from where this machine's own come from, with this machine's apt settings (proxies and such).
set -eu
target=$1 packages=$2
cache=$(dirname "$target")
exec 9>"$cache/lock"
flock 9
[ ! -d "$target" ] || exit 0

work="$cache/building"
umask 022
trap 'rm -rf --one-file-system "$work"' EXIT
rm -rf --one-file-system "$work"
mkdir "$work"
. /etc/os-release
case $ID in
  ubuntu) distribution=Ubuntu key=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;;
  *) distribution=Debian key=/usr/share/keyrings/debian-archive-keyring.gpg ;;
esac
apt-get indextargets --format 'deb @KEY@$(REPO_URI) $(RELEASE) $(COMPONENT)' \
  'Identifier: Packages' "Origin: $distribution" | sort -u >"$work/sources"
if [ ! -s "$work/sources" ]; then
  echo "apt knows of no packages on this machine yet: run apt-get update." >&2
  exit 1
fi
if [ -e "$key" ]; then sed -i "s|@KEY@|[signed-by=$key] |" "$work/sources"; else sed -i 's|@KEY@||' "$work/sources"; fi
apt-config dump Acquire >"$work/apt.conf"

# No owner of the network configuration is enabled here: each host enables the one it was given. Timers that
# would go to the network, or that look after disks, have no place in a host without either.
mmdebstrap --quiet --mode=root --variant=minbase \
  --aptopt="$work/apt.conf" \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --include="$packages" \
  --customize-hook='rm -f "$1"/etc/systemd/system/timers.target.wants/* "$1"/etc/resolv.conf' \
  --customize-hook='chroot "$1" systemctl --quiet disable NetworkManager.service NetworkManager-wait-online.service networking.service systemd-networkd.service e2scrub_reap.service' \
  --customize-hook='rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/network/interfaces "$1"/etc/hostname' \
  "$VERSION_CODENAME" "$work/root" - <"$work/sources" >&2
mv "$work/root" "$target"
