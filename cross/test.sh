#!/bin/sh
# Tests the build for a board on this computer, under qemu-user: the unit tests, the embedded model against its golden
# result, and that the board tells the same events as this computer from the same recording, byte for byte.
#
#     cross/test.sh [aarch64|armv7] [--profile release|dist]
#
# Times under emulation mean nothing, not even as a ranking.
set -eu

board=aarch64 profile=release
# shellcheck source=cross/toolchain.sh
. "$(dirname "$0")/toolchain.sh"
while [ $# -gt 0 ]; do
    case $1 in
        --profile) [ $# -gt 1 ] || fail "--profile wants release or dist"; profile=$2; shift ;;
        -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) fail "unknown option $1: see $0 --help" ;;
        *) board=$1 ;;
    esac
    shift
done

cd "$(dirname "$0")/.."
sh cross/build.sh "$board" --profile "$profile" --tests
name_board "$board"
need_emulator
install_missing
binary=${CARGO_TARGET_DIR:-target}/$triple/$profile/watchpost

# The emulator does not tell that a program to be started is missing; it seems to start and to end with 127. The tests of
# a camera's program begin with one that is missing, so they are for real processors.
say "Unit tests on $cpu"
(
    use_toolchain "$board"
    "$cargo" test --locked --target "$triple" --profile "$profile" --lib -- --skip capture::csi::tests
)

say "The embedded model on $cpu"
$run_on_board "$binary" models verify

say "The same events on $cpu as here"
WATCHPOST_OTHER="$run_on_board $binary" cargo test --locked --test determinism
