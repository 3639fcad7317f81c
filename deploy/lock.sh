#!/bin/sh
# Resolves the dependencies anew and writes the three lock files: hashes, no hosts, one resolution for all of them.
# uv.lock names the index it was made with; that is why git ignores it and the exported files are what is committed.
set -eu

cd "$(dirname "$0")/.."

stop() { printf '%s\n' "lock: $*" >&2; exit 1; }

command -v uv >/dev/null 2>&1 || stop "uv is not installed: python3 -m pip install --user uv (or pipx install uv)"

parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

export_lock() {
    file=$1
    shift
    uv export --frozen --no-emit-project --no-header --no-annotate -q "$@" -o "$parts/$file" >/dev/null
    if grep -n '://' "$parts/$file"; then
        stop "$file would name a host (the lines above), so it was not written; give that package by name and version in pyproject.toml."
    fi
}

uv lock -q || stop "the dependencies could not be resolved (the reason is above)."
export_lock requirements.lock --extra edge --extra hub --extra evaluate --extra models --extra dev
export_lock requirements-edge.lock --extra edge
export_lock requirements-hub.lock --extra hub --extra evaluate
# All or none: the three belong to one resolution.
cp "$parts/requirements.lock" "$parts/requirements-edge.lock" "$parts/requirements-hub.lock" .
wc -l requirements.lock requirements-edge.lock requirements-hub.lock
