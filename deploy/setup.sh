#!/bin/sh
# Prepares this machine to run the tests and the demonstration: system packages, .venv, the compiled model pack.
# What is there already is left alone, so running it again takes a second. It never starts or enables a system service.
set -eu

cd "$(dirname "$0")/.."

VENV=.venv
STAMP=$VENV/.rollcall-setup
PACK=build/packs/dlib
NEEDED_GB=6

say() { printf '%s\n' "setup: $*"; }
stop() { printf '%s\n' "setup: $*" >&2; exit 1; }

# ---- system packages ------------------------------------------------------------------------------------------------

has_program() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }
has_library() { [ -n "$(find /usr/lib /lib /usr/local/lib -maxdepth 2 -name "$1*" 2>/dev/null | head -n 1)" ]; }
is_python() { "$1" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if is_python "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

missing_packages() {
    has_program mosquitto || echo mosquitto
    # The core packages hold the programs without a system service or a database in /var/lib/mysql.
    has_program mariadbd || echo mariadb-server-core
    has_program mariadb-install-db || echo mariadb-server-core
    has_program my_print_defaults || echo mariadb-client-core
    has_program setpriv || echo util-linux
    # OpenCV's wheel brings all libraries but these two.
    has_library libGL.so.1 || echo libgl1
    has_library libglib-2.0.so.0 || echo libglib2.0-0
    [ -n "$(find_python)" ] || echo python3-venv
}

install_packages() {
    # --no-remove: where MySQL is installed, MariaDB would take its place, and a school's database with it.
    command_line="apt-get update && apt-get install -y --no-remove --no-install-recommends $*"
    has_program apt-get || stop "these are missing: $*. This is no Debian, Ubuntu or Raspberry Pi OS; install what they are called here and run it again."
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif has_program sudo && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    elif has_program sudo && [ -t 0 ]; then
        as_root=sudo
    else
        stop "these packages are missing; please run: sudo sh -c '$command_line'"
    fi
    say "installing $* (about 15 MB to 150 MB, less than a minute)"
    # policy-rc.d keeps mosquitto's installer from starting the system's broker; disabling keeps it off at the next boot.
    # shellcheck disable=SC2086,SC2016
    $as_root sh -eu -c '
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap "rm -f $policy" EXIT
            trap "exit 1" HUP INT TERM
            printf "#!/bin/sh\nexit 101\n" >"$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q </dev/null || echo "setup: the package lists could not be refreshed; trying with those at hand" >&2
        apt-get install -y -q --no-remove --no-install-recommends "$@" </dev/null
        case " $* " in *" mosquitto "*)
            if command -v systemctl >/dev/null 2>&1; then systemctl --quiet disable mosquitto.service || true; fi ;;
        esac
    ' sh "$@" || stop "the packages could not be installed (the reason is above). If MySQL is installed here, MariaDB cannot stand beside it: run this on another machine. Otherwise, with the network back: sudo sh -c '$command_line'"
    case " $* " in *" mosquitto "*)
        say "the system's own broker was left off; sudo systemctl enable --now mosquitto turns it on" ;;
    esac
}

packages=$(missing_packages | sort -u | tr '\n' ' ')
# shellcheck disable=SC2086
[ -z "$packages" ] || install_packages $packages

PYTHON=$(find_python)
[ -n "$PYTHON" ] || stop "Python 3.11, 3.12 or 3.13 with venv is needed and was not found; on Debian 12 or newer: sudo apt-get install -y python3 python3-venv"

# ---- Python packages ------------------------------------------------------------------------------------------------

wanted=$(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1)

if [ ! -x "$VENV/bin/python" ] || [ "$(cat "$STAMP" 2>/dev/null || true)" != "$wanted" ]; then
    if [ ! -x "$VENV/bin/pip" ]; then
        free_gb=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1048576))
        [ "$free_gb" -ge "$NEEDED_GB" ] || stop "$NEEDED_GB GB of free disk space are needed here and $free_gb GB are free; make room and run it again."
        say "creating $VENV with $("$PYTHON" --version)"
        "$PYTHON" -m venv "$VENV" || stop "$VENV could not be created; on Debian: sudo apt-get install -y python3-venv"
    fi
    say "installing Python packages (about 3 GB on disk, 2-4 minutes the first time)"
    # Not compiled: that takes a minute, most of the files are never imported, and Python compiles those that are.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock </dev/null ||
        stop "Python packages could not be installed (the reason is above). Check the network and the free disk space and run it again; it continues where it stopped."
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e . </dev/null ||
        stop "Rollcall itself could not be installed (the reason is above). Check the network and run it again."
    echo "$wanted" >"$STAMP"
fi

"$VENV/bin/python" -c 'import cv2' || stop "OpenCV cannot be loaded (the reason is above); usually this helps: sudo apt-get install -y --no-install-recommends libgl1 libglib2.0-0"

# ---- model pack -----------------------------------------------------------------------------------------------------

# Always: a pack that is complete is checked and left alone in a second, one of an older format is built again.
[ -f "$PACK/manifest.json" ] || say "compiling the face models into $PACK (about a minute, once)"
"$VENV/bin/python" -m recognition.build dlib "$PACK" </dev/null ||
    stop "the model pack could not be built (the reason is above); to try again from the beginning: rm -rf $PACK, then run it again."

say "ready"
