#!/bin/sh
# Watchpost in a minute. A film plays as a camera; people are found, followed and counted; events go to a broker of the
# demo's own and are printed as a subscriber sees them. An annotated picture and an .xlsx are left behind.
#
#     sh config/demo/run.sh [--film FILM] [--seconds N] [--out FOLDER] [--profile release|dev]
#
# Installs what is missing (Debian 12 or newer; root or sudo). Without --film it takes pedestrians on a square, from
# Debian's package opencv-doc. Ends by itself.
set -eu

seconds=32 film="" out="" profile=release
called_from=$PWD
cd "$(dirname "$0")/../.."
. cross/need.sh
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) sed -n '2,8s/^# \{0,1\}//p' config/demo/run.sh; exit 0 ;;
        --film | --seconds | --out | --profile) [ $# -gt 1 ] || fail "$1 wants a value: see --help" ;;
        *) fail "unknown option $1: see --help" ;;
    esac
    case $1 in
        --film) film=$(cd "$called_from" && realpath "$2") ;;
        --seconds) seconds=$2 ;;
        --out) out=$(cd "$called_from" && realpath -m "$2") ;;
        --profile) profile=$2 ;;
    esac
    shift 2
done
[ -z "$film" ] || [ -f "$film" ] || fail "$film is no file: --film wants a film"
[ "$seconds" -gt 0 ] 2>/dev/null || fail "--seconds wants a whole number of seconds, not $seconds"

square=/usr/share/doc/opencv-doc/examples/data/vtest.avi
need_build_tools
need mosquitto has mosquitto
need mosquitto-clients has mosquitto_sub
need ffmpeg has ffmpeg
[ -n "$film" ] || need opencv-doc has_file "$square"
install_missing

say "Building (the first time takes some ten minutes)"
cargo build --locked --quiet --profile "$profile"
watchpost=${CARGO_TARGET_DIR:-target}/$([ "$profile" = dev ] && echo debug || echo "$profile")/watchpost

out=${out:-$PWD/target/demo}
rm -rf "$out/state"
mkdir -p "$out/state"

broker="" appliance=""
stop() {
    for process in $appliance $broker; do
        kill "$process" 2>/dev/null || true
        wait "$process" || true
    done
    appliance="" broker=""
}
trap stop EXIT
trap 'exit 130' INT TERM

# A broker of its own, on a port that is free: one that is taken makes mosquitto end at once.
port=$((20000 + $$ % 10000))
until [ -n "$broker" ]; do
    port=$((port + 1))
    printf 'listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stdout\n' "$port" >"$out/broker.conf"
    mosquitto -c "$out/broker.conf" >"$out/broker.log" 2>&1 &
    broker=$!
    until mosquitto_pub -p "$port" -t demo -n 2>/dev/null; do
        kill -0 "$broker" 2>/dev/null || { broker=""; break; }
        sleep 0.1
    done
    # Somebody else's broker would have answered just as well.
    sleep 0.2
    kill -0 "$broker" 2>/dev/null || broker=""
    [ "$port" -lt 40000 ] || fail "no free port for the broker: see $out/broker.log"
done

config=any
if [ -z "$film" ]; then
    # The last half minute, which begins with a key frame: then people walk over the lawn.
    config=square film=$out/film.avi
    ffmpeg -v error -nostdin -y -ss 50 -i "$square" -c copy "$film"
fi
escape() { printf %s "$1" | sed 's/[|&\\]/\\&/g'; }
sed -e "s|STATE_DIR|$(escape "$out/state")|; s|PORT|$port|; s|FILM|$(escape "$film")|" "config/demo/$config.toml" \
    >"$out/watchpost.toml"
"$watchpost" check --config "$out/watchpost.toml"

say ""
say "The appliance runs for $seconds seconds. What a subscriber to watchpost/# sees (but snapshots and health):"
say ""
timeout "$seconds" "$watchpost" run --config "$out/watchpost.toml" >"$out/run.log" 2>&1 &
appliance=$!
mosquitto_sub -p "$port" -W $((seconds + 3)) -v -t 'watchpost/#' -T 'watchpost/+/camera/+/snapshot' -T 'watchpost/+/health' 2>"$out/subscriber.log" |
    tee "$out/mqtt.log" || true
stop
grep -q '/status .*"online"' "$out/mqtt.log" || { tail -n 5 "$out/run.log" >&2; fail "The appliance did not come online."; }

say ""
# Without optimisation preparing a frame takes longer than looking at it.
every=2
[ "$profile" != dev ] || every=10
say "Making a picture and a spreadsheet of the whole film."
rm -f "$out/frame.png"
for second in 6 0; do
    [ -f "$out/frame.png" ] || ffmpeg -v error -nostdin -ss "$second" -i "$film" -frames:v 1 "$out/frame.png"
done
"$watchpost" detect "$out/frame.png" --annotate "$out/annotated.jpg"
"$watchpost" count "$film" --config "$out/watchpost.toml" --every "$every" --xlsx "$out/count.xlsx" --json "$out/count.json"

say ""
say "Events, by kind:"
grep '/event ' "$out/mqtt.log" | grep -o '"kind":"[a-z_]*"' | sort | uniq -c || say "  none"
say ""
say "Left in $out:"
say "  annotated.jpg   what was found in one frame"
say "  count.xlsx      objects, lines and zones, minute by minute (count.json: the same)"
say "  mqtt.log        everything the subscriber saw"
say "  watchpost.toml  the configuration it ran with (run.log: what it said)"
