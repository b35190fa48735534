# Sourced by build.sh and test.sh: `use_toolchain BOARD` sets what cargo, cc and bindgen need to build for that board.
# A script of another folder says in `cross` where this one is.
#
# Two sources of a cross standard library are known, tried in this order:
# - rustup, where the active toolchain has the target (`rustup target add aarch64-unknown-linux-gnu`);
# - Debian's own `rustc-web cargo-web libstd-rust-web-dev:arm64`, which need nothing from outside Debian.
# The C side is Debian's cross gcc for both.

# shellcheck source=cross/need.sh
. "${cross:-$(dirname "$0")}/need.sh"

# The names that a board goes by: Rust's triple, GNU's and Debian's, and its emulator with a plain Cortex. The emulator's
# default CPU emulates so many extensions that it is 5 to 10 times slower.
name_board() {
    case $1 in
        aarch64) triple=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu debian=arm64 emulator=qemu-aarch64 cpu=cortex-a72 ;;
        armv7) triple=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf debian=armhf emulator=qemu-arm cpu=cortex-a7 ;;
        *) fail "unknown board $1: expected aarch64 or armv7" ;;
    esac
    run_on_board="timeout -s KILL 900 $emulator -cpu $cpu"
}

# The emulator, and the board's own C library for it. With that of Debian's cross compiler (2.36-8cross1) a program stops
# for ever where it starts its first thread.
need_emulator() {
    need qemu-user has "$emulator"
    need "libc6:$debian" has_file "/lib/$gnu/libc.so.6"
    need "libgcc-s1:$debian" has_file "/lib/$gnu/libgcc_s.so.1"
    [ -z "$missing" ] || add_architecture
}

add_architecture() {
    dpkg --print-foreign-architectures | grep -qx "$debian" || as_root dpkg --add-architecture "$debian"
}

use_toolchain() {
    name_board "$1"
    need_build_tools
    need "gcc-$gnu" has "$gnu-gcc"
    need "g++-$gnu" has "$gnu-g++"
    need "libc6-dev-$debian-cross" has_file "/usr/$gnu/include/stdio.h"
    choose_rust
    install_missing
    [ -z "$from_debian" ] || has_target /usr/bin/rustc ||
        fail "No standard library for $triple: /usr/bin/rustc has none. Try: rustup target add $triple"

    TRIPLE=$(printf %s "$triple" | tr a-z- A-Z_)
    triple_=$(printf %s "$triple" | tr - _)
    export "CARGO_TARGET_${TRIPLE}_LINKER=$gnu-gcc"
    export "CC_$triple_=$gnu-gcc" "CXX_$triple_=$gnu-g++" "AR_$triple_=$gnu-ar"
    # libclang reads the host's headers unless it is told where the board's are.
    export "BINDGEN_EXTRA_CLANG_ARGS_$triple_=--target=$gnu --sysroot=/usr/$gnu -I/usr/$gnu/include"
    # OpenH264 is C++. A small board image may lack libstdc++.so, so it is linked in; `cc` would ask for the shared one.
    # libstdc++.a wants the atomics of libgcc.a, which rustc leaves out.
    # RUSTFLAGS from outside would take the place of the target's own flags.
    export "CXXSTDLIB_$triple_="
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    export "CARGO_TARGET_${TRIPLE}_RUSTFLAGS=-C link-arg=-l:libstdc++.a -C link-arg=-lgcc"
    # How cargo runs the tests of another processor.
    export "CARGO_TARGET_${TRIPLE}_RUNNER=$run_on_board"
}

# Sets `cargo`, the one to call, and RUSTC where it is not the one in PATH.
# shellcheck disable=SC2034 # read by whoever sources this
choose_rust() {
    cargo=cargo
    from_debian=""
    if has_target rustc; then
        return
    fi
    from_debian=yes
    # Debian 12 has a standard library for armhf, but of an older Rust than its compiler.
    [ "$debian" = arm64 ] || fail "The active toolchain has no $triple. Try: rustup target add $triple"
    if ! has_target /usr/bin/rustc; then
        add_architecture
        missing="$missing rustc-web cargo-web libstd-rust-web-dev:$debian"
    fi
    # A rustup in PATH would otherwise run its own compiler, whose standard library for this board is not there.
    cargo=/usr/bin/cargo
    export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
    unset RUSTUP_TOOLCHAIN
}

has_target() {
    compiler=$(command -v "$1") || return 1
    [ -d "$("$compiler" --print sysroot)/lib/rustlib/$triple/lib" ]
}
