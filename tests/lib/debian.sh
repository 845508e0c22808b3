#!/bin/sh
# Runs parts of ./check in a bare Debian of another release: nothing is in it but the packages that
# `./check --packages` names for these parts, of that release, from the mirror that this machine uses. Needs root.
#
# Usage: tests/lib/debian.sh CACHE RELEASE PART…      RELEASE: a code name
#
# CACHE keeps the Debian and its builds for the next time; the Debian is made again each week, and when
# something else is wanted in it. All mounts and processes are in namespaces of their own: whatever way this
# ends, nothing of them is left. The last line is that of ./check there, "N passed, N failed".
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/lib/common.sh"
. "$root/tests/lib/mirror.sh"

# Inside the namespaces: this script again, as process 1.
if [ "$1" = --inside ]; then
    debian=$2
    shift 2
    trap 'exit 130' HUP INT TERM
    mount -t proc proc "$debian/proc"
    mount -t sysfs -o ro sysfs "$debian/sys"
    mount --rbind /dev "$debian/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$debian/tmp"
    mount -t tmpfs -o mode=755 tmpfs "$debian/run"
    mount --bind "$root/tests/node_modules" "$debian/freshet/tests/node_modules"
    env -i PATH="$PATH" HOME=/root LANG=C.UTF-8 TERM=dumb CI="${CI:-}" \
        FRESHET_PATIENCE="${FRESHET_PATIENCE:-1}" chroot "$debian" /freshet/check "$@"
    exit
fi

apart() {
    unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$@"
}

cache=$1
release=$2
shift 2
packages=$("$root/check" --packages "$@" | paste -sd , -)
mirror_check "$release"

# What makes a Debian as it is; another one is made when it changes.
recipe() {
    echo "$release $packages $(date +%G-%V)"
    mirror_sources "$release"
}

make_debian() {
    rm -rf --one-file-system "$cache/root" "$cache/root.new" "$cache/recipe"
    mkdir -p "$cache"
    mirror_options >"$cache/apt.conf"
    mirror_sources "$release" | apart mmdebstrap --mode=root --variant=apt --aptopt="$cache/apt.conf" --include="$packages" \
        "$release" "$cache/root.new" -
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$cache/root.new/etc/hosts"
    mkdir -p "$cache/root.new/freshet"
    mv "$cache/root.new" "$cache/root"
    recipe >"$cache/recipe"
}

recipe | cmp -s - "$cache/recipe" || make_debian
debian=$cache/root
# shellcheck disable=SC2016 # of that Debian
chroot "$debian" sh -c '. /etc/os-release && echo "$PRETTY_NAME, $(cat /etc/debian_version)"'

# The sources, with the builds of the last time.
find "$debian/freshet" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf --one-file-system {} +
sources_list "$cache/list"
(cd "$root" && tar -cf - --null -T "$cache/list") | (cd "$debian/freshet" && tar -xpf -)
mkdir -p "$debian/freshet/tests/node_modules"
apart "$0" --inside "$debian" "$@"
