#!/bin/sh
# Installs the program keelson for one user, without root:
#
#   curl -fsSL https://github.com/keelson/keelson/releases/latest/download/install.sh | sh
#   curl -fsSL … | sh -s -- --version 0.1.0 --dir /opt/keelson/bin
#
# It fetches the archive of this platform, checks it against SHA256SUMS, and puts the program in its place in one step.
# All of it stands in functions, so that a script that was cut off on its way does nothing.
set -eu

repository=keelson/keelson

help() {
    cat <<TEXT
Installs keelson. Options, and the variables that say the same:

  --version VERSION   KEELSON_VERSION       which release, default the latest
  --dir FOLDER        KEELSON_INSTALL_DIR   where to, default ~/.local/bin
                      KEELSON_BASE_URL      a mirror, default https://github.com/$repository/releases
  --help

What is fetched is checked against the checksums of the release; with the program gh, logged in, also that the release
was built by the workflow of github.com/$repository. The mirror must answer https, or be this machine.
TEXT
}

main() {
    version=${KEELSON_VERSION:-latest}
    dir=${KEELSON_INSTALL_DIR:-}
    base=${KEELSON_BASE_URL:-https://github.com/$repository/releases}
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h) help && exit ;;
            --version) version=${2:?--version needs a version} && shift 2 ;;
            --dir) dir=${2:?--dir needs a folder} && shift 2 ;;
            *) fail "unknown option $1; see --help" ;;
        esac
    done
    if [ -z "$dir" ]; then dir=${HOME:?is not set: name a folder with --dir}/.local/bin; fi

    for tool in curl tar gzip uname mktemp awk; do need "$tool"; done
    check_base
    find_platform
    find_release
    prepare_folders
    fetch_archive
    check_sum
    check_origin
    put_in_place
}

fail() {
    printf 'keelson is not installed: %s\n' "$*" >&2
    exit 1
}

need() { command -v "$1" >/dev/null 2>&1 || fail "this needs the program $1, which is not on the path"; }

# Over plain http anybody on the way could change both the archive and its checksum.
check_base() {
    case $base in
        https://*) curl_options='--proto =https --tlsv1.2 --location' ;;
        http://*)
            is_this_machine "$base" || fail "$base is not https"
            curl_options='--proto =http'
            ;;
        *) fail "$base is no address that begins with https://" ;;
    esac
}

is_this_machine() {
    authority=${1#http://}
    authority=${authority%%/*}
    port=${authority#*:}
    case $authority in
        127.0.0.1 | localhost) ;;
        127.0.0.1:* | localhost:*) case $port in '' | *[!0-9]*) return 1 ;; esac ;;
        *) return 1 ;;
    esac
}

find_platform() {
    system=$(uname -s) machine=$(uname -m)
    case $system in
        Linux) ;;
        *) fail "there is no binary for $system; build it: https://github.com/$repository#two-commands" ;;
    esac
    case $machine in
        x86_64 | amd64) platform=x86_64-linux ;;
        aarch64 | arm64) platform=aarch64-linux ;;
        *) fail "there is no binary for $system on $machine; build it: https://github.com/$repository#two-commands" ;;
    esac
}

find_release() {
    version=${version#v}
    case $version in
        latest) release=$base/latest/download ;;
        *[!0-9A-Za-z.+-]* | '') fail "'$version' is no version" ;;
        *) release=$base/download/v$version ;;
    esac
}

# Before anything is fetched, since a download for nothing is a nuisance.
prepare_folders() {
    mkdir -p "$dir" 2>/dev/null || fail "the folder $dir cannot be created; name another with --dir"
    [ -w "$dir" ] || fail "the folder $dir cannot be written to; name another with --dir"
    temporary=$(mktemp -d "${TMPDIR:-/tmp}/keelson.XXXXXX") || fail "there is no room for temporary files"
    # Beside its place and not in the folder for temporary files: only within one file system is a move one step.
    staged=$dir/.keelson.$$
    trap 'rm -rf "$temporary" "$staged"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

fetch_archive() {
    archive=keelson-$platform.tar.gz
    fetch SHA256SUMS
    fetch "$archive"
}

fetch() {
    # shellcheck disable=SC2086 # a list of options
    curl $curl_options --fail --silent --show-error --retry 3 --connect-timeout 20 \
        --output "$temporary/$1" "$release/$1" ||
        fail "$release/$1 cannot be fetched; is there a release '$version'?"
}

check_sum() {
    wanted=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$temporary/SHA256SUMS")
    [ ${#wanted} = 64 ] || fail "SHA256SUMS of the release has no checksum of $archive"
    if command -v sha256sum >/dev/null 2>&1; then
        found=$(sha256sum "$temporary/$archive")
    elif command -v shasum >/dev/null 2>&1; then
        found=$(shasum -a 256 "$temporary/$archive")
    else
        fail "this needs the program sha256sum or shasum, to check what was fetched"
    fi
    found=${found%% *}
    [ "$found" = "$wanted" ] ||
        fail "the checksum of $archive is $found and should be $wanted; it was changed or cut off on its way; try again"
}

# The checksum comes from where the archive comes from; this one comes from the log of Sigstore.
check_origin() {
    if ! gh attestation verify --help >/dev/null 2>&1 || ! gh auth status --hostname github.com >/dev/null 2>&1; then
        echo "Checked the checksum. Where the archive was built was not checked: that needs gh 2.49 or newer, logged in."
        return
    fi
    gh attestation verify "$temporary/$archive" --repo "$repository" \
        --signer-workflow "$repository/.github/workflows/release.yml" >/dev/null ||
        fail "gh finds no attestation that the workflow of github.com/$repository built $archive"
    echo "Checked the checksum, and that the workflow of github.com/$repository built it."
}

put_in_place() {
    tar -xzf "$temporary/$archive" -C "$temporary" "keelson-$platform/keelson" || fail "$archive cannot be unpacked"
    cp "$temporary/keelson-$platform/keelson" "$staged" || fail "$dir has no room for it"
    chmod 755 "$staged"
    says=$("$staged" --version) || fail "the program does not run on this machine"
    case $version in
        latest) ;;
        *) [ "$says" = "keelson $version" ] || fail "release $version holds another one: $says" ;;
    esac
    mv -f "$staged" "$dir/keelson"
    echo "Installed $says as $dir/keelson."
    case :$PATH: in
        *":$dir:"*) ;;
        *) printf 'It is not on your path yet: export PATH="%s:%sPATH"\n' "$dir" '$' ;;
    esac
}

# In braces, since a line cut off after its first word would lose the options.
{ main "$@"; }
