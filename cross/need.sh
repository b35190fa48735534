# Sourced by the scripts that set something up: `need` notes what is missing, `install_missing` has Debian bring it.
# Nothing that is there already is touched, and nothing is asked.

say() { printf '%s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

# Where Debian puts servers; an ordinary user's PATH lacks it.
PATH="$PATH:/usr/local/sbin:/usr/sbin"

missing=""

# need PACKAGE COMMAND...: the command succeeds where the package is not needed.
need() {
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

has() { command -v "$1"; }
has_file() { ls "$@"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_missing() {
    [ -n "$missing" ] || return 0
    has apt-get >/dev/null || fail "Missing, and there is no apt-get to bring it:$missing"
    [ "$(id -u)" = 0 ] || has sudo >/dev/null || fail "Missing, and neither root nor sudo is there to install it:$missing"
    say "Installing:$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086 # the list is meant to be split
    if as_root apt-get update -qq >"$log" 2>&1 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
        rm -f "$log"
        missing=""
    else
        tail -n 20 "$log" >&2
        fail "Could not install:$missing (whole log: $log)"
    fi
}

# What building the dependencies takes: a C and a C++ compiler (SQLite, OpenH264, ring), cmake (libjpeg-turbo), libclang for
# the V4L2 bindings, and nasm, without which OpenH264 silently builds its slow path on x86.
need_build_tools() {
    has cargo >/dev/null || [ -x "$HOME/.cargo/bin/cargo" ] || fail "cargo is missing: install Rust 1.92 or newer first."
    has cargo >/dev/null || PATH="$HOME/.cargo/bin:$PATH"
    need gcc has cc
    need g++ has c++
    need libc6-dev has_file /usr/include/stdio.h
    need cmake has cmake
    need libclang-dev has_libclang
    [ "$(uname -m)" != x86_64 ] || need nasm has nasm
}

has_libclang() {
    # libclang-cpp is another library, which other packages bring.
    for folder in "${LIBCLANG_PATH:-}" /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu*; do
        for library in "$folder"/libclang.so* "$folder"/libclang-[0-9]*.so*; do
            [ ! -e "$library" ] || return 0
        done
    done
    return 1
}
