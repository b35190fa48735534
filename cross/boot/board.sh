# Sourced by boot.sh: `get_board FOLDER` leaves an arm64 board's kernel, modules, C library and busybox below FOLDER, all of
# it from Debian's packages, unpacked and not installed. Once there it is not looked at again: delete it for a newer kernel.

# shellcheck source=cross/need.sh
. "$(dirname "$0")/need.sh"

# The plain kernel. The cloud flavour has no cameras.
kernel=linux-image-arm64
# busybox for /init; what a plain Debian has for a program to be linked with.
packages="busybox-static:arm64 libc6:arm64 libgcc-s1:arm64"
# What the board loads, in this order, with what each needs before it: its network and its cameras.
modules="virtio_pci virtio_net vivid"

get_board() {
    board=$1/$(cat "$(dirname "$0")/boot/board.sh" | cksum | tr -d ' ')
    [ ! -e "$board/vmlinuz" ] || return 0
    need xz-utils has xz
    install_missing
    rm -rf "$1"
    work=$1/new
    mkdir -p "$work/packages" "$work/root" "$work/board/modules" "$work/board/lib"
    download "$work/packages" || { update_packages && download "$work/packages"; } ||
        fail "Cannot get Debian's arm64 packages: $(tail -n 3 "$work/packages/log")"
    for package in "$work"/packages/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
    release=$(basename "$(find "$work/root/boot" -name 'vmlinuz-*')" | cut -d - -f 2-)
    for module in $modules; do
        add_module "$module"
    done
    find "$work/root" -path '*aarch64-linux-gnu/lib*.so.*' -exec cp -L {} "$work/board/lib" \;
    find "$work/root" -name ld-linux-aarch64.so.1 -exec cp -L {} "$work/board/lib" \; -quit
    cp "$(find "$work/root" -name busybox -type f -perm -1)" "$work/board/busybox"
    # Last: the board is whole where the kernel is.
    mv "$work/board" "$board"
    mv "$work/root/boot/vmlinuz-$release" "$board/vmlinuz"
    rm -r "$work"
    say "Got a board with Linux $release"
}

update_packages() {
    dpkg --print-architecture | grep -qx arm64 || dpkg --print-foreign-architectures | grep -qx arm64 ||
        as_root dpkg --add-architecture arm64
    as_root apt-get update -qq
}

download() {
    # What is called linux-image-arm64 only names the kernel of the day.
    image=$(apt-cache show --no-all-versions "$kernel:arm64" 2>/dev/null | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p')
    [ -n "$image" ] || return 1
    # shellcheck disable=SC2086 # the list is meant to be split
    (cd "$1" && apt-get download -qq "$image:arm64" $packages >log 2>&1)
}

# add_module NAME: into the board with everything it needs, and to the end of the list that the board loads.
add_module() {
    file=$(find "$work/root" -name "$1.ko" -o -name "$1.ko.xz")
    if [ -z "$file" ]; then
        find "$work/root" -name modules.builtin -exec grep -q "/$1.ko$" {} + || fail "Linux $release has no $1"
        return 0
    fi
    plain=$work/board/modules/$1.ko
    [ ! -e "$plain" ] || return 0
    case $file in
        *.xz) xz -dc "$file" >"$plain" ;;
        *) cp "$file" "$plain" ;;
    esac
    for needed in $(tr '\0' '\n' <"$plain" | LC_ALL=C sed -n 's/^depends=//p' | tr , ' '); do
        add_module "$needed"
    done
    say "$1" >>"$work/board/modules/order"
}
