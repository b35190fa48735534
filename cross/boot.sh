#!/bin/sh
# Boots an emulated 64-bit board with Debian's kernel and a real V4L2 camera (the kernel's vivid), and has the binary watch it:
# frames from /dev/video0 through the network to a broker on this computer, the camera unplugged and plugged in again, a
# clean end. One to two minutes; Debian 12 or newer, root or sudo where something is missing.
#
#     cross/boot.sh [--binary FILE] [--out FOLDER]
#
# FILE is what cross/build.sh aarch64 built, unless told; FOLDER keeps what board and broker said (target/boot). The board's
# kernel comes from Debian's archive once and is kept in the user's cache (WATCHPOST_CACHE).
set -eu

binary="" out=""
# shellcheck source=cross/boot/board.sh
. "$(dirname "$0")/boot/board.sh"
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        --binary | --out) [ $# -gt 1 ] || fail "$1 wants a value: see $0 --help" ;;
        *) fail "unknown option $1: see $0 --help" ;;
    esac
    case $1 in
        --binary) binary=$(realpath "$2") ;;
        --out) out=$(realpath -m "$2") ;;
    esac
    shift 2
done

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
binary=${binary:-$target/aarch64-unknown-linux-gnu/release/watchpost}
out=${out:-$target/boot}
[ -f "$binary" ] || fail "$binary is not there: run cross/build.sh aarch64 first"

need qemu-system-arm has qemu-system-aarch64
need mosquitto has mosquitto
need mosquitto-clients has mosquitto_sub
need ffmpeg has ffprobe
need cpio has cpio
need binutils has readelf
install_missing
get_board "${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/watchpost}/boot"

rm -rf "$out"
mkdir -p "$out/root"

broker="" subscriber="" machine="" stopping=""
stop() {
    for process in $machine $subscriber $broker; do
        kill "$process" 2>/dev/null || true
        wait "$process" || true
    done
    machine="" subscriber="" broker=""
}
trap stop EXIT
trap 'exit 130' INT TERM

# wrong WORDS...: the end of what the board and the broker said, and the end.
wrong() {
    say "-- the end of $out/serial.log:" "$(tail -n 40 "$out/serial.log" 2>/dev/null | tr -d '\r')" >&2
    say "-- the end of $out/mqtt.log:" "$(tail -n 10 "$out/mqtt.log" 2>/dev/null | cut -c 1-400)" >&2
    fail "FAILED: $*"
}

# wait_until SECONDS WHAT COMMAND...: asks again and again whether the command succeeds; fails as soon as it cannot any more.
wait_until() {
    left=$(($1 * 5)) what=$2
    shift 2
    until "$@"; do
        kill -0 "$machine" 2>/dev/null || wrong "the board went off before $what"
        [ -n "$stopping" ] || ! board_said ended || wrong "watchpost ended before $what"
        [ "$left" -gt 0 ] || wrong "in time there was not: $what"
        left=$((left - 1))
        sleep 0.2
    done
    say "$(($(date +%s) - began)) s: $what"
}

# last TOPIC PATTERN: what was published last on the topic matches.
last() { grep "^watchpost/board/$1 " "$out/mqtt.log" | tail -n 1 | grep -q -- "$2"; }
board_said() { grep -q "^board: $1" "$out/serial.log"; }
tell_board() { say "$1" >&9; }

# A broker on this computer's loopback, on a port that is free: one that is taken makes mosquitto end at once.
port=$((20000 + $$ % 10000))
until [ -n "$broker" ]; do
    port=$((port + 1))
    [ "$port" -lt 40000 ] || fail "no free port for the broker: see $out/broker.log"
    printf 'listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stdout\n' "$port" >"$out/broker.conf"
    mosquitto -c "$out/broker.conf" >"$out/broker.log" 2>&1 &
    broker=$!
    sleep 0.5
    kill -0 "$broker" 2>/dev/null || broker=""
done
mosquitto_sub -p "$port" -v -t 'watchpost/#' -T 'watchpost/+/camera/+/snapshot' >"$out/mqtt.log" 2>"$out/subscriber.log" &
subscriber=$!

# The board's files, all in memory. Not compressed: reading them is quick here, unpacking them slow there.
mkdir -p "$out/root/bin" "$out/root/etc" "$out/root/lib/aarch64-linux-gnu" "$out/root/proc" "$out/root/sys" \
    "$out/root/dev" "$out/root/state" "$out/root/tmp"
cp cross/boot/init "$out/root/init"
sed "s/PORT/$port/" cross/boot/watchpost.toml >"$out/root/etc/watchpost.toml"
cp "$binary" "$out/root/bin/watchpost"
cp "$board/busybox" "$out/root/bin"
cp -r "$board/modules" "$out/root/modules"
# Only these: a binary that wants more does not start on a plain board either.
for library in $(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    [ -f "$board/lib/$library" ] || fail "$binary wants $library, which a plain board has not"
    cp "$board/lib/$library" "$out/root/lib/aarch64-linux-gnu/"
done
cp "$board/lib/ld-linux-aarch64.so.1" "$out/root/lib/"
(cd "$out/root" && find . | cpio --quiet -o -H newc) >"$out/initrd"
rm -r "$out/root"

say "Booting; the broker is on port $port"
began=$(date +%s)
# Half a gigabyte, as on the smallest boards. 10.0.2.2 is this computer's loopback, as the board sees it.
mkfifo "$out/orders"
timeout -s KILL 400 qemu-system-aarch64 -M virt -cpu cortex-a72 -smp 2 -m 512 -display none -monitor none -no-reboot \
    -kernel "$board/vmlinuz" -initrd "$out/initrd" -append "console=ttyAMA0 quiet panic=-1" \
    -netdev user,id=net -device virtio-net-pci,netdev=net,romfile= \
    -serial stdio <"$out/orders" >"$out/serial.log" 2>"$out/qemu.log" &
machine=$!
exec 9>"$out/orders"

wait_until 120 "the board has started watchpost" board_said started
wait_until 120 "the camera is live" last camera/bars/status '"state":"live"'
wait_until 60 "nobody is in front of it" last camera/bars/person '^[^ ]* 0$'
wait_until 90 "frames went through the network" last health '"infer":[0-9.]*[1-9].*"track":'
mosquitto_sub -p "$port" -W 30 -C 1 -N -t watchpost/board/camera/bars/snapshot >"$out/snapshot.jpg" ||
    wrong "no snapshot came"
# Eight bars from white to black, looked at three quarters down: each of red, green and blue is there or is not.
size=$(ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 "$out/snapshot.jpg")
[ "$size" = mjpeg,640,480 ] || wrong "the snapshot is $size, not mjpeg,640,480"
bars=$(ffmpeg -v error -i "$out/snapshot.jpg" -vf crop=iw:8:0:ih*3/4,scale=8:1:flags=area -f rawvideo -pix_fmt rgb24 - |
    od -An -v -t u1 -w3 | awk '{ printf "%s%d%d%d", (NR > 1 ? " " : ""), ($1 > 95), ($2 > 95), ($3 > 95) }')
[ "$bars" = "111 110 011 010 101 100 001 000" ] || wrong "the snapshot $out/snapshot.jpg has not vivid's bars but $bars"
say "$(($(date +%s) - began)) s: the snapshot shows its colour bars"

tell_board unplug
wait_until 90 "unplugged, the camera is down" last camera/bars/status '"state":"down"'
tell_board plug
wait_until 120 "plugged in again, the camera is live" last camera/bars/status '"state":"live"'

stopping=yes
tell_board stop
wait_until 90 "watchpost has ended with status 0" board_said "ended, status 0"
wait_until 10 "it said goodbye" last status '"state":"stopped"'
wait "$machine" || wrong "the board did not power off"
machine=""
say "$(($(date +%s) - began)) s: the board is off"
