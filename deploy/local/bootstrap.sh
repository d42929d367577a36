#!/bin/sh
# Makes what the one-machine run and the tests stand on: Debian packages, and a virtual environment with pinned packages.
#   bootstrap.sh python   the virtual environment only        (make check)
#   bootstrap.sh run      and what the services need          (make up)
#   bootstrap.sh test     and the container tools of the tests (make test)
# A second run does nothing and takes no time. PYTHON=/path/to/python3 chooses the interpreter.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/.venv
lock=$root/requirements-dev.lock

# package:what shows that it is here (a program on PATH, or a file)
run_packages='rabbitmq-server:rabbitmq-server npm:npm'
# docker.io holds the client too, but where docker-cli is a package of its own (Debian 13).
test_packages='skopeo:skopeo podman:podman docker.io:dockerd docker-cli:docker containerd:containerd runc:runc
    busybox:busybox umoci:umoci docker-registry:docker-registry docker-compose:docker-compose uidmap:newuidmap
    fuse-overlayfs:fuse-overlayfs chromium:chromium netavark:/usr/lib/podman/netavark zstd:zstd'
# Their units would be started at the next boot; the one-machine run has servers of its own.
units='rabbitmq-server.service docker.service docker.socket containerd.service docker-registry.service'

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

here() { # is the program or file of a package here?
    case $1 in
        /*) [ -e "$1" ] ;;
        *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" > /dev/null 2>&1 ;;
    esac
}

missing_of() {
    for pair in $1; do
        here "${pair#*:}" || printf '%s ' "${pair%%:*}"
    done
}

offered() { # packages...: those of them that this release of the system has
    for package in "$@"; do
        if apt-cache show "$package" > /dev/null 2>&1; then printf '%s ' "$package"; fi
    done
}

install_as_root() { # packages...: through apt, without starting any service
    export DEBIAN_FRONTEND=noninteractive
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then # invoke-rc.d asks this program; 101 forbids
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod 755 $policy
    fi
    apt="apt-get -q -y -o DPkg::Lock::Timeout=300"
    # Lists may be empty (containers) or too old to fetch from; then they are fetched anew.
    apt-cache show "$1" > /dev/null 2>&1 || $apt update
    known=$(offered "$@")
    [ -n "$known" ] || return 1
    for package in "$@"; do
        case " $known" in
            *" $package "*) ;;
            *) say "this release of the system has no package $package; going on without it" ;;
        esac
    done
    # shellcheck disable=SC2086
    $apt install --no-install-recommends $known || { $apt update && $apt install --no-install-recommends $known; }
    if command -v systemctl > /dev/null 2>&1; then
        for unit in $units; do
            case " $* " in *" ${unit%%.*}"[\ .]*) systemctl disable "$unit" > /dev/null 2>&1 || : ;; esac
        done
    fi
}

install() { # packages...: as root, by sudo without a password, or not at all
    command -v apt-get > /dev/null 2>&1 || fail "missing: $*. This system has no apt-get; install them by its own means"
    say "installing Debian packages: $*"
    if [ "$(id -u)" = 0 ]; then
        (install_as_root "$@") || fail "apt-get could not install: $*"
    elif command -v sudo > /dev/null 2>&1 && sudo -n true 2> /dev/null; then
        sudo -n sh "$0" --as-root "$@" || fail "apt-get could not install: $*"
    else
        known=$(offered "$@") # nothing where the lists were never fetched
        fail "Debian packages are missing, and installing them needs root. Run this, then the same command again:
    sudo apt-get install --no-install-recommends ${known:-$*}"
    fi
}

usable() { # a Python of a supported version that can make virtual environments?
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' > /dev/null 2>&1 \
        && "$1" -c 'import ensurepip, venv' > /dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if usable "$candidate"; then
            say "$candidate"
            return
        fi
    done
}

make_environment() {
    # The lock, this script, the place (scripts hold absolute paths): when one of them changes, it is made anew.
    stamp=$venv/.made-from
    now="$(cat "$lock" "$0" | sha256sum | cut -d ' ' -f 1) $root"
    if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2> /dev/null)" = "$now" ]; then
        return
    fi
    if ! usable "$venv/bin/python" || ! "$venv/bin/python" -m pip --version > /dev/null 2>&1 \
        || { [ -e "$stamp" ] && [ "$(cut -d ' ' -f 2- "$stamp")" != "$root" ]; }; then
        python=$(find_python)
        if [ -z "$python" ]; then
            install python3 python3-venv
            python=$(find_python)
        fi
        [ -n "$python" ] || fail "no Python 3.11 to 3.13 with venv found; install one, or set PYTHON=/path/to/python3"
        say "making a virtual environment in .venv with $("$python" --version)"
        "$python" -m venv --clear "$venv"
    fi
    say "installing $(grep -c '^[A-Za-z0-9].*==' "$lock") pinned Python packages (a minute or two the first time)"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r "$lock" \
        || fail "pip could not install requirements-dev.lock; what it said stands above"
    "$venv/bin/python" - "$root" << 'END'
import pathlib, sys, sysconfig

# `import condarium`, `import services` and the command line, straight from this checkout.
root = pathlib.Path(sys.argv[1])
packages = pathlib.Path(sysconfig.get_path("purelib"))
(packages / "condarium-checkout.pth").write_text(f"{root / 'shared'}\n{root}\n")
program = pathlib.Path(sys.executable).with_name("condarium")
program.write_text(
    "#!/bin/sh\n"
    f"exec '{sys.executable}' -c 'import sys; from condarium.cli.main import main; sys.exit(main())' \"$@\"\n"
)
program.chmod(0o755)
END
    say "$now" > "$stamp"
}

if [ "${1:-}" = --as-root ]; then
    shift
    install_as_root "$@"
    exit
fi

case ${1:-run} in
    python) packages='' ;;
    run) packages=$run_packages ;;
    test) packages="$run_packages $test_packages" ;;
    *) fail "usage: bootstrap.sh python|run|test" ;;
esac
missing=$(missing_of "$packages")
# shellcheck disable=SC2086
[ -z "$missing" ] || install $missing
mkdir -p "$root/.local"
exec 9> "$root/.local/bootstrap.lock"
flock 9
make_environment
