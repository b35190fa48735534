#!/bin/sh
# What the appliance needs: memory of `watchpost run` with one and with four cameras of 720p at 10 frames a second, and the
# time from start to the first look. Needs ffmpeg, and a broker for the time (mosquitto); a free port of this machine.
#
#     cargo build --release && sh tests/endurance.sh target/release/watchpost [SECONDS] [MODEL]
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

ffmpeg -nostdin -v error -y -i "$film" -vf "fps=10,scale=1280:720" -c:v libx264 -g 50 -preset veryfast "$dir/film.mp4"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PATH="$PATH:/usr/sbin" mosquitto -p "$port" >/dev/null 2>&1 &
broker=$!

for cameras in 1 4; do
    {
        printf 'schema = 1\n[device]\nid = "endurance"\n[store]\ndir = "%s/state-%s"\n' "$dir" "$cameras"
        printf '[mqtt]\nurl = "mqtt://127.0.0.1:%s"\n[model]\nname = "%s"\n' "$port" "$model"
        n=1
        while [ "$n" -le "$cameras" ]; do
            printf '[camera.c%s]\nsource = { kind = "file", path = "film.mp4", repeat = true }\n' "$n"
            printf 'line.l = { points = [[0.0, 0.5], [1.0, 0.5]] }\nrule.r = { kind = "line_count", line = "l" }\n'
            n=$((n + 1))
        done
    } >"$dir/watchpost-$cameras.toml"
    began=$(date +%s%N)
    "$binary" run --config "$dir/watchpost-$cameras.toml" 2>"$dir/log-$cameras" &
    pid=$!
    # The first number above nought of people is the first detection that counts.
    mosquitto_sub -p "$port" -t "watchpost/endurance/camera/c1/person" -W 20 -F %p | grep -m1 -v '^0$' >/dev/null || true
    first=$((($(date +%s%N) - began) / 1000000))
    sleep "$seconds"
    resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
    peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")
    echo "$cameras cameras, model $model: resident $((resident / 1000)) MB (peak $((peak / 1000)) MB) after $seconds s, first person published after $first ms"
    kill "$pid"
    wait "$pid" || true
    pid=""
done
