#!/bin/sh
# Builds the binary for a board on this computer, and installs what that takes (Debian 12 or newer; root or sudo).
#
#     cross/build.sh [aarch64|armv7] [--profile release|dist] [--tests]
#
# `release` is thin LTO, `dist` fat LTO: some 20 CPU-minutes more for a few per cent. `--tests` also builds the unit
# tests, which test.sh runs. Prints where the binary is.
set -eu

board=aarch64 profile=release tests=""
# shellcheck source=cross/toolchain.sh
. "$(dirname "$0")/toolchain.sh"
while [ $# -gt 0 ]; do
    case $1 in
        --profile) [ $# -gt 1 ] || fail "--profile wants release or dist"; profile=$2; shift ;;
        --tests) tests=yes ;;
        -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) fail "unknown option $1: see $0 --help" ;;
        *) board=$1 ;;
    esac
    shift
done

use_toolchain "$board"
cd "$(dirname "$0")/.."
say "Building for $triple with $("${RUSTC:-rustc}" --version), profile $profile"
"$cargo" build --locked --target "$triple" --profile "$profile" --bin watchpost
[ -z "$tests" ] || "$cargo" test --locked --target "$triple" --profile "$profile" --lib --no-run

binary=${CARGO_TARGET_DIR:-target}/$triple/$profile/watchpost
say "$binary: $(($(wc -c <"$binary") / 1000)) kB"
