#!/bin/sh
# Installs what only the fault bench needs. Nothing else uses it, and `make test` never runs this.
set -eu

has_program() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }

missing=
need() { # PACKAGE REASON
    missing="$missing $1"
    printf 'faults: needs %s: %s\n' "$1" "$2"
}

has_program strace || need strace "it makes the disk's answers to fsync fail"
has_program fusermount3 || has_program fusermount || need fuse3 "it mounts the disk that forgets what was not synced"
[ -n "$(find /usr/lib /lib -maxdepth 2 -name 'libfuse.so.2*' -o -maxdepth 2 -name 'libfuse3.so.*' 2>/dev/null | head -n 1)" ] \
    || need libfuse2 "the library for that disk"

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! has_program apt-get; then
    printf 'faults: not root, or no apt-get: the faults that need these are skipped, and say so\n'
    exit 0
fi
# shellcheck disable=SC2086
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends $missing \
    || printf 'faults: could not be installed: the faults that need these are skipped, and say so\n'
