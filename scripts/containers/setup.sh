#!/usr/bin/env bash
# Finds what builds and runs containers here, and sets `engine` to docker or podman. Where no registry is to be had, on
# Debian and as root, it makes the base images itself, with everything under .tools/containers.
#
# Once per shell:  source scripts/containers/setup.sh && containers_ready
# or run it to prepare everything and to see the variables that `podman` then needs.

containers_dir=${CONTAINERS_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.tools/containers}
debian_mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
debian_image=docker.io/library/debian:bookworm-slim
rust_image=docker.io/library/rust:1.95.0-bookworm
engine=
made_here= # set when the base images are our own

# containers_ready: fails and says why when this machine can neither fetch nor make the base images.
containers_ready() {
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
        engine=docker
    elif [ ! -d "$containers_dir" ] && command -v podman >/dev/null && fetch "$debian_image"; then
        engine=podman
    else
        make_all || return
    fi
    printf 'containers: %s%s\n' "$engine" "${made_here:+, base images made here, storage in $containers_dir}"
}

# build_image ARGUMENT…: as `docker build`, with what this machine needs to reach its package registries.
build_image() {
    if [ -z "$made_here" ]; then
        "$engine" build "$@"
        return
    fi
    local options=(--pull-never --isolation chroot --network host --format docker --layers)
    local cargo=${CARGO_HOME:-$HOME/.cargo}
    # Where packages come from: for the build alone, not in any image.
    mount_if_there "$cargo/config.toml" /usr/local/cargo/config.toml:ro
    mount_if_there "$cargo/registry" /usr/local/cargo/registry
    mount_if_there "$HOME/.config/pip/pip.conf" /etc/pip.conf:ro
    mount_if_there "$HOME/.pip/pip.conf" /etc/pip.conf:ro
    mount_if_there /etc/pip.conf /etc/pip.conf:ro
    local name
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        if [ -n "${!name:-}" ]; then options+=(--build-arg "$name"); fi
    done
    buildah build "${options[@]}" "$@"
}

# mount_if_there PATH TARGET: the first of two for a target counts. Adds to the caller's `options`.
mount_if_there() {
    if [ -e "$1" ] && [[ " ${options[*]} " != *":$2 "* ]]; then options+=(--volume "$1:$2"); fi
}

# What is here already need not be fetched.
fetch() { podman image exists "$1" || timeout 120 podman pull --quiet "$1" >/dev/null 2>&1; }

make_all() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        printf 'neither docker nor podman reaches a registry, and base images are made on Debian as root alone\n' >&2
        return 1
    fi
    engine=podman made_here=yes
    debian_programs || return
    configure
    podman image exists "$debian_image" || make_debian || return
    podman image exists "$rust_image" || make_rust
}

debian_programs() {
    local missing=() program
    for program in podman buildah runc debootstrap iptables /usr/lib/podman/{netavark,aardvark-dns}; do
        command -v "$program" >/dev/null || missing+=("${program##*/}")
    done
    if [ ${#missing[@]} = 0 ]; then return; fi
    printf 'containers: installing %s\n' "${missing[*]}"
    apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null ||
        { apt-get update && apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null; }
}

# Nothing of this is in the user's own storage. What runs is noted where a restart of the machine forgets it, apart for each
# storage.
configure() {
    local running
    export CONTAINERS_CONF=$containers_dir/containers.conf CONTAINERS_STORAGE_CONF=$containers_dir/storage.conf
    # Health checks are then run by hand: `podman healthcheck run NAME`.
    if [ ! -S /run/systemd/private ]; then export DISABLE_HC_SYSTEMD=true; fi
    if [ -e "$CONTAINERS_CONF" ]; then return; fi
    running=/run/keelson-containers/$(printf '%s' "$containers_dir" | cksum | cut -d ' ' -f 1)
    mkdir -p "$containers_dir"
    cat >"$containers_dir/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$containers_dir/storage"
runroot = "$running/storage"
CONF
    cat >"$containers_dir/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$running/libpod"
[network]
network_backend = "netavark"
network_config_dir = "$containers_dir/networks"
CONF
}

make_debian() {
    printf 'containers: making %s\n' "$debian_image"
    local root=$containers_dir/debian
    rm -rf "$root"
    debootstrap --variant=minbase bookworm "$root" "$debian_mirror" >"$containers_dir/debootstrap.log" || return
    printf 'deb %s-security bookworm-security main\n' "$debian_mirror" >>"$root/etc/apt/sources.list"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    # Whom this machine trusts beyond Debian's list, such as its proxy: the package ca-certificates adds them.
    if [ -d /usr/local/share/ca-certificates ]; then cp -r /usr/local/share/ca-certificates "$root/usr/local/share"; fi
    # As the official image has it.
    printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\n' >"$root/etc/dpkg/dpkg.cfg.d/docker"
    tar -C "$root" -c . | podman import --quiet - "$debian_image" >/dev/null && rm -rf "$root"
}

# Laid out as the official image is: its paths, its variables, its default toolchain.
make_rust() {
    printf 'containers: making %s\n' "$rust_image"
    local sysroot container root folder
    sysroot=$(realpath "$(rustc --print sysroot)") || return
    container=$(buildah from --pull-never "$debian_image") || return
    buildah run --isolation chroot --network host "$container" sh -c 'apt-get update -qq &&
        apt-get install -y -qq --no-install-recommends \
            ca-certificates curl g++ gcc git libc6-dev make perl pkg-config >/dev/null &&
        rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb' || return
    root=$(buildah mount "$container")
    folder=$root/usr/local/rustup/toolchains/1.95.0-$(rustc -vV | sed -n 's/^host: //p')
    mkdir -p "$folder" "$root/usr/local/cargo/bin"
    cp -a "$sysroot"/{bin,lib,libexec,etc} "$folder"
    cp -a "${CARGO_HOME:-$HOME/.cargo}"/bin/{rustup,cargo,rustc,rustdoc,rustfmt,cargo-fmt,cargo-clippy,clippy-driver} \
        "$root/usr/local/cargo/bin"
    printf 'version = "12"\ndefault_toolchain = "%s"\nprofile = "minimal"\n' "${folder##*/}" \
        >"$root/usr/local/rustup/settings.toml"
    chmod -R a+w "$root/usr/local/rustup" "$root/usr/local/cargo"
    buildah umount "$container" >/dev/null
    buildah config --env RUSTUP_HOME=/usr/local/rustup --env CARGO_HOME=/usr/local/cargo --env RUST_VERSION=1.95.0 \
        --env PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah commit --quiet --format docker --rm "$container" "$rust_image" >/dev/null
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    containers_ready
    if [ -n "$made_here" ]; then
        for name in CONTAINERS_CONF CONTAINERS_STORAGE_CONF DISABLE_HC_SYSTEMD; do
            if [ -n "${!name:-}" ]; then printf 'export %s=%s\n' "$name" "${!name}"; fi
        done
    fi
fi
