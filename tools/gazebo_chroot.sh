#!/bin/sh
# Debian 11's Gazebo Classic 11 in a folder of its own, for tests on machines without a Gazebo. Needs root.
#
#   tools/gazebo_chroot.sh setup             install it (about a minute, 1.3 GB); does nothing where it is there
#   tools/gazebo_chroot.sh run DIR CMD ...   run CMD in it, in DIR, which it sees as /shared
#   tools/gazebo_chroot.sh remove            delete it
#
# The folder: $NAV_VLM_GAZEBO_ROOT, else ~/.cache/nav_vlm/gazebo11. Needs debootstrap and unshare (util-linux).
# What it mounts is mounted in a namespace of its own, and is gone when CMD ends; so are all processes that CMD started.
set -eu

ROOT=${NAV_VLM_GAZEBO_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/nav_vlm/gazebo11}
PACKAGES="gazebo gazebo-plugin-base xvfb xauth libgl1-mesa-dri"

fail() {
    echo "gazebo_chroot: error: $1" >&2
    exit 2
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing; install it (sudo apt-get install $2)"
}

# inside ROOT DIR CMD ...: as in a machine of its own, but for the network. A shell stays its first process: Xvfb tells
# its parent that it is ready only where that is not process 1.
inside() {
    root=$1 shared=$2
    shift 2
    exec unshare --mount --pid --fork --kill-child sh -euc '
        root=$1 shared=$2
        shift 2
        mount -t proc proc "$root/proc"
        mount --rbind /sys "$root/sys"
        mount --rbind /dev "$root/dev"
        mkdir -p "$root/shared"
        mount --bind "$shared" "$root/shared"
        mount -t tmpfs tmp "$root/tmp"
        exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive sh -uc "cd /shared && \"\$@\"; exit \$?" sh "$@"
    ' sh "$root" "$shared" "$@"
}

setup() {
    if [ -x "$ROOT/usr/bin/gzserver" ]; then
        return
    fi
    need debootstrap debootstrap
    draft="$ROOT.draft"
    rm -rf --one-file-system "$draft"
    mkdir -p "$draft"
    echo "gazebo_chroot: Debian 11 with Gazebo Classic 11 goes to $ROOT" >&2
    debootstrap --variant=minbase bullseye "$draft" >"$ROOT.log" 2>&1 ||
        fail "debootstrap failed; see $ROOT.log"
    # shellcheck disable=SC2086
    (inside "$draft" /tmp apt-get install -y --no-install-recommends $PACKAGES) >>"$ROOT.log" 2>&1 ||
        fail "Gazebo could not be installed; see $ROOT.log"
    rm -rf "$draft"/var/cache/apt/archives/*.deb
    mv "$draft" "$ROOT"
}

[ "$(id -u)" = 0 ] || fail "it needs root (sudo, or a root shell in a container)"
need unshare util-linux
case ${1:-} in
setup)
    setup
    ;;
run)
    [ $# -ge 3 ] || fail "give a folder and a command: run DIR CMD ..."
    [ -x "$ROOT/usr/bin/gzserver" ] || fail "there is no Gazebo in $ROOT; run tools/gazebo_chroot.sh setup"
    shift
    inside "$ROOT" "$@"
    ;;
remove)
    rm -rf --one-file-system "$ROOT" "$ROOT.draft" "$ROOT.log"
    ;;
*)
    fail "give setup, run DIR CMD ..., or remove"
    ;;
esac
