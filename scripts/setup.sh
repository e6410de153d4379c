# shellcheck shell=bash
# Sourced by ./run and ./test: says what is going on, and installs what is missing.
#
# Nothing is installed that is there already, so a second run costs nothing here.

# A line about what happens next.
say() {
    printf '==> %s\n' "$*" >&2
}

# A line about why it cannot go on, and the end.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        fail "this needs root and there is no sudo: run \`$*\` as root, then try again"
    fi
}

# Installs Debian packages.
apt_install() {
    has apt-get || fail "install these with this system's package manager, then try again: $*"
    say "installing $*"
    as_root apt-get update --quiet=2 || fail "the lists of packages could not be fetched"
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "$@" >/dev/null ||
        fail "apt-get could not install $*"
}

# Makes sure of Rust, and of what builds the cryptography library and the allocator, which are in C.
need_rust() {
    has cargo || fail "there is no cargo: install Rust with rustup, open a new shell, then try again"
    local missing=()
    has cc || missing+=(gcc)
    has make || missing+=(make)
    # The C library's headers come apart from the compiler.
    echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1 || missing+=(libc6-dev)
    # On other machines the cryptography library has no prepared bindings and is built by cmake.
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64 | Linux-aarch64) ;;
    *) has cmake || missing+=(cmake) ;;
    esac
    [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
}

# Makes sure of a command: its name, and the package that brings it.
need_command() {
    has "$1" || apt_install "$2"
}

# Makes sure of the commands that the tests in Rust compare with.
need_rust_peers() {
    need_command age age
    need_command ssh-keygen openssh-client
}

# Makes the Python environment .venv with the real clients that the peer tests drive the server with.
need_peers() {
    local wanted=tests/peers/requirements.txt stamp=.venv/installed-requirements.txt
    need_command openssl openssl
    need_command curl curl
    need_command gpg gnupg
    need_command promtool prometheus
    # Users may not have its folder in their PATH.
    [ -x /usr/sbin/rsyslogd ] || need_command rsyslogd rsyslog
    if cmp --silent "$wanted" "$stamp"; then
        return
    fi
    # Debian's python3 comes without ensurepip, which the package python3-venv brings.
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3 python3-venv
    say "installing the peers of the tests into .venv"
    python3 -m venv --clear .venv || fail "python3 could not make .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$wanted" ||
        fail "pip could not install what $wanted lists"
    cp "$wanted" "$stamp"
}

# Where cargo puts what it builds.
target_dir() {
    printf '%s' "${CARGO_TARGET_DIR:-target}"
}
