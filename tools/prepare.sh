# What ./run and ./test share: finding what is missing on this machine and, with consent,
# installing it. Sourced, not run. Nothing is asked when nothing is missing.

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
assume_yes=${CI:+yes}
PATH=$PATH:/usr/sbin:/sbin
if [ -d "$HOME/.cargo/bin" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
export PATH
# One target folder may serve several clones.
if [ -n "${ETUDE_TARGET_DIR:-}" ]; then export CARGO_TARGET_DIR="$ETUDE_TARGET_DIR"; fi

say() { printf '%s\n' "$*" >&2; }
stop() { say "error: $*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# agree QUESTION: yes with --yes or in CI, else what the user answers.
agree() {
    if [ -n "$assume_yes" ]; then return 0; fi
    if [ ! -t 0 ]; then say "$1 Nobody can answer here: give --yes to agree."; return 1; fi
    printf '%s [y/N] ' "$1" >&2
    read -r answer
    case $answer in y | Y | yes) return 0 ;; *) return 1 ;; esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif has sudo; then sudo "$@"
    elif has doas; then doas "$@"
    else stop "installing needs administrator rights, and there is no sudo: as root, run: $*"
    fi
}

# Prints what is missing, by the names of the libraries and programs.
missing_things() {
    has cc || has gcc || has clang || echo cc
    has cargo || has curl || has wget || echo curl
    known=$(ldconfig -p 2>/dev/null || true)
    for library in libasound.so.2 libX11.so.6 libX11-xcb.so.1 libXcursor.so.1 libXi.so.6 \
        libxkbcommon-x11.so.0 libGL.so.1; do
        case $known in *"$library "*) ;; *) echo "$library" ;; esac
    done
}

# package_of MANAGER THING: the package that has it.
package_of() {
    case $1:$2 in
        apt-get:cc) echo "gcc libc6-dev" ;;
        apt-get:curl) echo "curl ca-certificates" ;;
        # Debian 13 and Ubuntu 24.04 renamed it when time became 64 bits wide.
        apt-get:libasound.so.2)
            if apt-cache show libasound2t64 >/dev/null 2>&1; then echo libasound2t64; else echo libasound2; fi ;;
        apt-get:libX11.so.6) echo libx11-6 ;;
        apt-get:libX11-xcb.so.1) echo libx11-xcb1 ;;
        apt-get:libXcursor.so.1) echo libxcursor1 ;;
        apt-get:libXi.so.6) echo libxi6 ;;
        apt-get:libxkbcommon-x11.so.0) echo libxkbcommon-x11-0 ;;
        apt-get:libGL.so.1) echo libgl1 ;;
        dnf:libX11.so.6) echo libX11 ;;
        dnf:libX11-xcb.so.1) echo libX11-xcb ;;
        dnf:libXcursor.so.1) echo libXcursor ;;
        dnf:libXi.so.6) echo libXi ;;
        dnf:libGL.so.1) echo libglvnd-glx ;;
        pacman:libX11.so.6 | pacman:libX11-xcb.so.1) echo libx11 ;;
        pacman:libXcursor.so.1) echo libxcursor ;;
        pacman:libXi.so.6) echo libxi ;;
        pacman:libGL.so.1) echo libglvnd ;;
        *:cc) echo gcc ;;
        *:libasound.so.2) echo alsa-lib ;;
        *:libxkbcommon-x11.so.0) echo libxkbcommon-x11 ;;
        *) echo "$2" ;;
    esac
}

prepare_system() {
    if [ "$(uname -s)" = Darwin ]; then
        xcode-select -p >/dev/null 2>&1 ||
            stop "the C linker is missing: run xcode-select --install, then start again"
        return
    fi
    missing=$(missing_things)
    if [ -z "$missing" ]; then return; fi
    if has apt-get; then manager=apt-get; install="install -y --no-install-recommends"
    elif has dnf; then manager=dnf; install="install -y"
    elif has pacman; then manager=pacman; install="-S --needed --noconfirm"
    else
        say "This system lacks:" $missing
        stop "install them with this system's package manager, then start again"
    fi
    if [ $manager = apt-get ] && [ -z "$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)" ]; then
        say "This system's list of packages is empty and will be fetched."
        agree "Run apt-get update?" || stop "without it nothing can be installed"
        as_root apt-get update
    fi
    packages=$(for thing in $missing; do package_of $manager "$thing"; done | tr ' ' '\n' | sort -u | tr '\n' ' ')
    say "Etude needs these packages of the system: $packages"
    agree "Install them?" || stop "without them Etude can't be built; run: $manager $install $packages"
    # Word splitting is meant: both are lists.
    # shellcheck disable=SC2086
    as_root $manager $install $packages || stop "the packages could not be installed (see above)"
}

# rust_is_new_enough: whether cargo is there and not older than Cargo.toml's rust-version.
rust_is_new_enough() {
    has cargo || return 1
    # In the clone, where another version may be chosen by rustup.
    found=$( (cd "$root" && cargo --version 2>/dev/null) | awk '{ print $2 }')
    printf '%s %s\n' "${found:-0.0}" "$wanted" | awk '{
        split($1, found, /[.-]/); split($2, wanted, ".")
        newer = found[1] > wanted[1] || (found[1] == wanted[1] && found[2] + 0 >= wanted[2] + 0)
        exit !newer
    }'
}

prepare_rust() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    if rust_is_new_enough; then return; fi
    if has rustup; then
        agree "Rust $wanted or newer is needed. Update it with rustup?" || stop "run: rustup update stable"
        rustup update stable || stop "rustup could not update Rust (see above)"
        rustup default stable || true
    else
        say "Rust $wanted or newer is needed. rustup (https://rustup.rs) puts it into ~/.cargo and ~/.rustup."
        agree "Install it?" || stop "without Rust Etude can't be built"
        script=$(mktemp)
        if has curl; then curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs -o "$script"
        else wget -q https://sh.rustup.rs -O "$script"; fi || stop "rustup can't be fetched: check the network"
        sh "$script" -y --no-modify-path --profile minimal --component rustfmt --component clippy ||
            stop "rustup could not install Rust (see above)"
        rm -f "$script"
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    fi
    rust_is_new_enough || stop "this Rust is still older than $wanted: run rustup update stable"
}

prepare() {
    prepare_system
    prepare_rust
}
