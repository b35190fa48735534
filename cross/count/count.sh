#!/bin/sh
# Counts the instructions that a program for 64-bit ARM executes, under qemu-user: all of them, by function, by mnemonic.
#
#     cross/count/count.sh [--cpu cortex-a72] [--top 12] [--out FILE] PROGRAM [ARGUMENT...]
#
# Emulated time says nothing, instructions say something: they repeat to a hundredth of a per cent. To take away what a
# program does beside what is to be measured, count it doing that once and three times, and halve the difference.
# cortex-a72 is a Raspberry Pi 4, cortex-a76 (with dot products) a 5. FILE keeps every count, with function and mnemonic;
# functions have their names where the program was not stripped. Returns what the program returned.
#
# What it cannot say: how many of them a processor starts per cycle. A four-register table lookup is one here, and five
# micro-operations there. The mnemonic `.byte` is what Debian 12's disassembler does not know: `sdot`, for one.
set -eu

given="" top=12 out=""
cross=$(dirname "$0")/..
# shellcheck source=cross/toolchain.sh
. "$cross/toolchain.sh"
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
        --cpu | --top | --out) [ $# -gt 1 ] || fail "$1 wants a value: see $0 --help" ;;
        -*) fail "unknown option $1: see $0 --help" ;;
        *) break ;;
    esac
    case $1 in
        --cpu) given=$2 ;;
        --top) top=$2 ;;
        --out) out=$2 ;;
    esac
    shift 2
done
[ $# -gt 0 ] || fail "Which program? See $0 --help"

name_board aarch64
cpu=${given:-$cpu}
need gcc has cc
need libc6-dev has_file /usr/include/stdio.h
need_emulator
install_missing

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -shared -fPIC -o "$work/count.so" "$(dirname "$0")/count.c"
[ -n "$out" ] || out=$work/counts

status=0
"$emulator" -cpu "$cpu" -plugin "$work/count.so,out=$out" "$@" || status=$?
[ -s "$out" ] || fail "Nothing was counted: see above"

# by COLUMN: the sums of what has the same text there, the greatest first.
by() {
    awk -F '\t' -v column="$1" '{ sums[$column] += $1; all += $1 }
        END { for (text in sums) printf "%.0f\t%5.1f %%\t%s\n", sums[text], 100 * sums[text] / all, text }' "$out" |
        sort -rn | sed "${top}q"
}

{
    all=$(awk -F '\t' '{ all += $1 } END { printf "%.0f", all }' "$out")
    printf '\n-- %s on %s: %s instructions\n\n' "$(basename "$1")" "$cpu" "$all"
    by 2
    printf '\n'
    by 3
} >&2
exit "$status"
