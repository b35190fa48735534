#!/bin/sh
# What the appliance needs: memory of `watchpost run` with one and with four cameras of 720p at 10 frames a second, and the
# time from start to the first person at a subscriber. Needs ffmpeg and mosquitto (with its clients); a free port of this
# machine.
#
#     cargo build --release && sh tests/endurance.sh target/release/watchpost [SECONDS] [MODEL]
#
# Resident is what the kernel calls RSS: everything of the process that lies in memory, the pages of the program's own file
# included (`file`), which the kernel can take back at any time. The process has no children here: H.264 is decoded in it.
# The film is encoded as network cameras do it: no B-frames, one reference, a keyframe every five seconds. A decoder holds
# as many pictures as the stream may refer to, so B-frames and more references cost 7 MB more per camera.
set -eu

binary=$(realpath "${1:?the binary to measure}")
seconds=${2:-30}
model=${3:-auto}
film=${WATCHPOST_FILM:-/usr/share/doc/opencv-doc/examples/data/vtest.avi}
dir=$(mktemp -d)
pid=""
broker=""
# shellcheck disable=SC2317 # called by the trap
end() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    [ -z "$broker" ] || kill "$broker" 2>/dev/null || true
    rm -rf "$dir"
}
trap end EXIT

ffmpeg -nostdin -v error -y -i "$film" -vf "fps=10,scale=1280:720" -c:v libx264 -g 50 -bf 0 -refs 1 -preset veryfast "$dir/film.mp4"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PATH="$PATH:/usr/sbin" mosquitto -p "$port" >/dev/null 2>&1 &
broker=$!
tries=0
until mosquitto_pub -p "$port" -t endurance -m there 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the broker does not listen" >&2; exit 1; }
    sleep 0.1
done
# What is measured once at the first start of all, which of the model's twins is the fastest here, is not part of this.
ffmpeg -nostdin -v error -y -i "$dir/film.mp4" -frames:v 1 "$dir/frame.png"
"$binary" detect --model "$model" "$dir/frame.png" >/dev/null 2>&1

for cameras in 1 4; do
    id="endurance-$cameras"
    {
        printf 'schema = 1\n[device]\nid = "%s"\n[store]\ndir = "%s/state-%s"\n' "$id" "$dir" "$cameras"
        printf '[mqtt]\nurl = "mqtt://127.0.0.1:%s"\n[model]\nname = "%s"\n' "$port" "$model"
        n=1
        while [ "$n" -le "$cameras" ]; do
            printf '[camera.c%s]\nsource = { kind = "file", path = "film.mp4", repeat = true }\n' "$n"
            printf 'line.l = { points = [[0.0, 0.5], [1.0, 0.5]] }\nrule.r = { kind = "line_count", line = "l" }\n'
            n=$((n + 1))
        done
    } >"$dir/watchpost-$cameras.toml"
    # The first number above nought of people is the first detection that counts.
    (mosquitto_sub -p "$port" -t "watchpost/$id/camera/c1/person" -W 60 -F %p | grep -m1 -v '^0$' >/dev/null && date +%s%N >"$dir/first-$cameras") &
    waiter=$!
    began=$(date +%s%N)
    "$binary" run --config "$dir/watchpost-$cameras.toml" 2>"$dir/log-$cameras" &
    pid=$!
    wait "$waiter" || true
    if [ -s "$dir/first-$cameras" ]; then
        first="$((($(cat "$dir/first-$cameras") - began) / 1000000)) ms"
    else
        first="more than 60 s"
    fi
    sleep "$seconds"
    of() { awk -v what="^$1:" '$0 ~ what { printf "%.0f", $2 / 1000 }' "/proc/$pid/$2"; }
    echo "$cameras cameras, model $model: resident $(of VmRSS status) MB (of it file $(of RssFile status), peak $(of VmHWM status), Pss $(of Pss smaps_rollup)) after $seconds s, first person published after $first"
    kill "$pid"
    wait "$pid" || true
    pid=""
done
