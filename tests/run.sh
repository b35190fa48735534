#!/bin/sh
# Everything that a change must pass, and what that takes: installs what is missing (Debian 12 or newer; root or sudo),
# asks nothing, needs no terminal.
#
#     sh tests/run.sh            all steps, in the order below
#     sh tests/run.sh STEP...    only these: fmt shell typos clippy test doc deny licences demo cross size boot
#
# Builds and tools are kept in the user's cache (WATCHPOST_CACHE, else XDG_CACHE_HOME/watchpost), so that the second run
# is quick in a fresh clone too. Dependencies are compiled twice from cold: for this computer in the dev profile, for the
# board in the release profile; clippy and doc share one pass that only reads their types.
set -u

cd "$(dirname "$0")/.." || exit 1
. cross/need.sh

cache=${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/watchpost}
tools=$cache/tools
mkdir -p "$tools" || fail "cannot make the cache folder $cache"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}" CARGO_INCREMENTAL=0 CARGO_TERM_PROGRESS_WHEN=never
PATH="$tools/bin:$PATH"

board=aarch64
# The promise is 30 MB, kept at 29.0 until rules about goods, evidence, the track log and poses came in: now it is 31.1.
# This holds what was reached, so that it does not grow further: lower it with every kB won.
largest_kb=31150
aim_kb=30000

all="fmt shell typos clippy test doc deny licences demo cross size boot"

step_fmt() { cargo fmt --check; }

step_shell() { shellcheck --severity=warning --external-sources --shell=sh .ci/run cross/*.sh cross/boot/init cross/boot/*.sh cross/count/*.sh tests/run.sh config/demo/run.sh; }

step_typos() {
    has typos >/dev/null || {
        python3 -m venv "$tools/typos" && "$tools/typos/bin/pip" install -q "typos==1.52.0" &&
            mkdir -p "$tools/bin" && ln -sf ../typos/bin/typos "$tools/bin/typos"
    } || cargo install -q --locked --root "$tools" typos-cli
    typos
}

# The second pass looks at what ships, not at tests: there `unwrap` is at home.
step_clippy() {
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --lib --bins -- -D warnings -D clippy::unwrap_used -D clippy::dbg_macro -D clippy::todo
}

step_test() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --profile ci
    else
        say "cargo-nextest is not installed; the same tests run under cargo test."
        cargo test --locked --no-fail-fast --lib --bins --tests
    fi
    cargo test --locked --doc
}

step_doc() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps; }

# Built without optimisation: it runs for seconds, and compiles for minutes.
step_deny() {
    has cargo-deny >/dev/null ||
        CARGO_TARGET_DIR="$cache/tools-target" cargo install -q --debug --locked --root "$tools" cargo-deny --version 0.20.2
    cargo deny --locked check --hide-inclusion-graph licenses bans sources
    # The advisory database is a git repository on the internet.
    if cargo deny --locked fetch db >"$cache/deny.log" 2>&1; then
        cargo deny --locked check --disable-fetch --hide-inclusion-graph advisories
    else
        say "advisories: skipped, the advisory database is not reachable"
    fi
}

step_licences() { sh cross/licences.sh --check; }

# The README's first command, short and with the binary that the tests have built anyway.
step_demo() { sh config/demo/run.sh --profile dev --seconds 8 --out "$CARGO_TARGET_DIR/demo"; }

step_cross() { sh cross/test.sh "$board"; }

step_size() {
    binary=$CARGO_TARGET_DIR/aarch64-unknown-linux-gnu/release/watchpost
    kb=$(($(wc -c <"$binary") / 1000))
    say "stripped release binary for $board: $kb kB, at most $largest_kb, aim $aim_kb"
    [ "$kb" -le "$largest_kb" ]
}

# On a kernel of its own, with a camera that the kernel makes.
step_boot() { WATCHPOST_CACHE=$cache sh cross/boot.sh --out "$CARGO_TARGET_DIR/boot"; }

need_build_tools
need python3-venv python3 -c "import ensurepip, venv"
need shellcheck has shellcheck
need mosquitto has mosquitto
need mosquitto-clients has mosquitto_sub
need ffmpeg has ffmpeg
need gir1.2-gst-rtsp-server-1.0 has_file /usr/share/doc/gir1.2-gst-rtsp-server-1.0/copyright
need gstreamer1.0-plugins-ugly has_file /usr/share/doc/gstreamer1.0-plugins-ugly/copyright
need gstreamer1.0-plugins-bad has_file /usr/share/doc/gstreamer1.0-plugins-bad/copyright
need gstreamer1.0-plugins-good has_file /usr/share/doc/gstreamer1.0-plugins-good/copyright
need python3-gi has_file /usr/share/doc/python3-gi/copyright
need opencv-doc has_file /usr/share/doc/opencv-doc/examples/data/vtest.avi
install_missing

# Cargo tells what is stale by time stamps. A clone in another place may hold older files than what another clone built
# last, so what was built of this package (not of its dependencies) is forgotten when the place changes.
if [ "$(cat "$cache/built-from" 2>/dev/null)" != "$PWD" ]; then
    rm -rf "$CARGO_TARGET_DIR"/*/.fingerprint/watchpost-* "$CARGO_TARGET_DIR"/*/*/.fingerprint/watchpost-*
    printf %s "$PWD" >"$cache/built-from"
fi

table="" failed=""
# shellcheck disable=SC2086 # the list is meant to be split
[ $# -gt 0 ] || set -- $all
for step in "$@"; do
    case " $all " in *" $step "*) ;; *) fail "unknown step $step: expected one of $all" ;; esac
    say "== $step"
    began=$(date +%s)
    # Not in a condition: there the shell would ignore `set -e` inside.
    (set -e; "step_$step")
    status=$?
    verdict=ok
    [ $status = 0 ] || { verdict=FAILED; failed="$failed $step"; }
    table="$table$(printf '%-10s %6s s  %s' "$step" "$(($(date +%s) - began))" "$verdict")
"
done

say ""
say "$table"
[ -z "$failed" ] || fail "Failed:$failed"
say "All passed."
