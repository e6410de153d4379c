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
    need_command fish fish
    need_command zsh zsh
    need_command systemd-analyze systemd
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

# Nushell, whose module in nushell/ is tested in it.
NUSHELL_VERSION=0.115.1
NUSHELL=.peers/nu-$NUSHELL_VERSION

# Fetches the compiled `nu` from npm's registry, where its makers publish it.
need_nushell() {
    [ ! -x "$NUSHELL" ] || return 0
    local machine folder package
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) machine=linux-x64 ;;
    Linux-aarch64) machine=linux-arm64 ;;
    *) fail "there is no compiled nu for this machine: put one at $NUSHELL, then try again" ;;
    esac
    need_command npm npm
    say "fetching Nushell $NUSHELL_VERSION into .peers"
    package="@nushell/$machine@$NUSHELL_VERSION"
    folder="$(mktemp -d)"
    (cd "$folder" && npm pack --silent "$package" >/dev/null) || fail "npm could not fetch $package"
    tar -xzf "$folder"/*.tgz -C "$folder" package/bin/nu || fail "$package holds no package/bin/nu"
    mkdir -p .peers
    mv "$folder/package/bin/nu" "$NUSHELL"
    rm -rf "$folder"
}

# kustomize, which renders the manifests in deploy/kubernetes.
KUSTOMIZE_VERSION=5.0.3
KUSTOMIZE=.peers/kustomize-$KUSTOMIZE_VERSION

# Builds kustomize, in a version that Go 1.19 is enough for.
need_kustomize() {
    need_go_command kustomize sigs.k8s.io/kustomize/kustomize/v5 "$KUSTOMIZE_VERSION" 1.19
}

# The server of Cosmian KMS, for tests only: its licence, BUSL-1.1, permits no use in production.
COSMIAN_VERSION=5.28.0
COSMIAN=.peers/cosmian_kms-$COSMIAN_VERSION

# Builds the server of Cosmian KMS from the source that crates.io has of it.
need_cosmian() {
    [ ! -x "$COSMIAN" ] || return 0
    local folder sources
    folder="$(mktemp -d)"
    say "building Cosmian KMS $COSMIAN_VERSION into .peers, which takes some minutes"
    # cargo fetches it for a package that wants it. It is built as a package of its own, for `cargo
    # install` stumbles over one of its features.
    mkdir -p "$folder/wants/src" .peers
    : >"$folder/wants/src/lib.rs"
    printf '[package]\nname = "wants"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n%s\n\n[workspace]\n' \
        "cosmian_kms_server = \"=$COSMIAN_VERSION\"" >"$folder/wants/Cargo.toml"
    (cd "$folder/wants" && cargo fetch --quiet) || fail "cargo could not fetch cosmian_kms_server"
    sources="$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -maxdepth 2 -type d \
        -name "cosmian_kms_server-$COSMIAN_VERSION" | head -n 1)"
    [ -n "$sources" ] || fail "cargo fetched no source of cosmian_kms_server"
    cp -R "$sources" "$folder/source"
    (cd "$folder/source" && env CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
        CARGO_TARGET_DIR="$folder/target" \
        cargo build --quiet --locked --bin cosmian_kms --features non-fips) ||
        fail "cargo could not build cosmian_kms; perl and a C compiler must be there"
    mv "$folder/target/debug/cosmian_kms" "$COSMIAN"
    rm -rf "$folder"
}

# What checks licences, sources and who uses what, by deny.toml.
CARGO_DENY_VERSION=0.20.2
CARGO_DENY=.peers/cargo-deny-$CARGO_DENY_VERSION/bin

# Builds cargo-deny, and puts it where `cargo xtask verify` looks for it.
need_cargo_deny() {
    if [ ! -x "$CARGO_DENY/cargo-deny" ]; then
        say "building cargo-deny $CARGO_DENY_VERSION into .peers, which takes some minutes"
        local folder
        folder="$(mktemp -d)"
        env CARGO_TARGET_DIR="$folder" CARGO_PROFILE_RELEASE_LTO=off \
            cargo install --quiet --locked --root "${CARGO_DENY%/bin}" \
            "cargo-deny@$CARGO_DENY_VERSION" || fail "cargo could not build cargo-deny"
        rm -rf "$folder"
    fi
    PATH="$PWD/$CARGO_DENY:$PATH"
}

# The server of RustyVault.
RUSTYVAULT_VERSION=0.2.1
RUSTYVAULT=.peers/rvault-$RUSTYVAULT_VERSION

# Builds the server of RustyVault from the source that crates.io has of it.
need_rustyvault() {
    [ ! -x "$RUSTYVAULT" ] || return 0
    local folder
    # It links the system's OpenSSL.
    need_command pkg-config pkg-config
    echo '#include <openssl/ssl.h>' | cc -E - >/dev/null 2>&1 || apt_install libssl-dev
    folder="$(mktemp -d)"
    say "building RustyVault $RUSTYVAULT_VERSION into .peers, which takes some minutes"
    # With the versions of its own lock file.
    env CARGO_TARGET_DIR="$folder/target" \
        cargo install --quiet --locked --root "$folder" rusty_vault --version "$RUSTYVAULT_VERSION" ||
        fail "cargo could not build rusty_vault"
    mkdir -p .peers
    mv "$folder/bin/rvault" "$RUSTYVAULT"
    rm -rf "$folder"
}

# Azurite, which plays Azure Blob.
AZURITE_VERSION=3.37.0
AZURITE=.peers/azurite-$AZURITE_VERSION

# Fetches Azurite and what it needs from npm's registry.
need_azurite() {
    [ ! -x "$AZURITE/node_modules/.bin/azurite-blob" ] || return 0
    need_command npm npm
    say "fetching Azurite $AZURITE_VERSION into .peers, which takes a minute"
    mkdir -p "$AZURITE"
    npm install --silent --no-fund --no-audit --prefix "$AZURITE" "azurite@$AZURITE_VERSION" ||
        fail "npm could not install azurite@$AZURITE_VERSION"
}

# versitygw, which speaks as S3 over a folder.
VERSITYGW_VERSION=1.8.0
VERSITYGW=.peers/versitygw-$VERSITYGW_VERSION

# fake-gcs-server, which plays Google Cloud Storage.
FAKE_GCS_VERSION=1.56.1
FAKE_GCS=.peers/fake-gcs-server-$FAKE_GCS_VERSION

# Builds a command of Go into .peers: its name, its package, its version, and the Go that it needs.
need_go_command() {
    local binary=".peers/$1-$3" folder
    [ ! -x "$binary" ] || return 0
    need_command go golang-go
    folder="$(mktemp -d)"
    say "building $1 $3 into .peers"
    env GOBIN="$folder" go install "$2@v$3" ||
        fail "go could not build $1 $3; Go $4 or newer must be there"
    mkdir -p .peers
    mv "$folder/$1" "$binary"
    rm -rf "$folder"
}

# Builds versitygw.
need_versitygw() {
    need_go_command versitygw github.com/versity/versitygw/cmd/versitygw "$VERSITYGW_VERSION" 1.25
}

# Builds fake-gcs-server.
need_fake_gcs() {
    need_go_command fake-gcs-server github.com/fsouza/fake-gcs-server "$FAKE_GCS_VERSION" 1.26
}

# Where cargo puts what it builds.
target_dir() {
    printf '%s' "${CARGO_TARGET_DIR:-target}"
}
