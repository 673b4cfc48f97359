# shellcheck shell=bash
# What test_compose does with a compose system, by docker compose or podman-compose. Sourced by it from the root.

# shellcheck source=scripts/containers/setup.sh
source scripts/containers/setup.sh

# Of the system that is asked: its name, and the options that name its files.
project=
files=()

gateway=http://127.0.0.1:8000
# Requests each second, of which a rolling restart may fail none.
load_rate=200
services=(gateway analytics-service user-service order-service ingest archiver)
composer=()

say() { printf '\n-- %s\n' "$*"; }

# Finds what reads compose files. Podman's is a Python package, in an environment of its own.
compose_ready() {
    if [ "$engine" = docker ]; then
        composer=(docker compose)
        docker compose version >/dev/null 2>&1 || composer=(docker-compose)
    else
        local folder=$PWD/.tools/compose-venv
        if [ ! -x "$folder/bin/podman-compose" ]; then
            python3 -m venv --clear "$folder"
            "$folder/bin/pip" install --quiet --disable-pip-version-check podman-compose==1.6.0
        fi
        composer=("$folder/bin/podman-compose")
    fi
    if [ -n "${made_here:-}" ]; then
        # What `init: true` means to podman.
        [ -e /usr/libexec/podman/catatonit ] ||
            apt-get install --yes --quiet=2 --no-install-recommends catatonit >/dev/null
        make_standins
    fi
}

# In place of the official images of databases and proxies, which nobody can fetch here.
make_standins() {
    local name
    for name in python:3.11.14-slim-bookworm postgres:17.11-bookworm haproxy:3.2.22 mongo:8.0.23; do
        if "$engine" image exists "docker.io/library/$name"; then continue; fi
        say "making $name"
        build_image --quiet --tag "docker.io/library/$name" "scripts/containers/standins/${name%%:*}"
    done
}

# Podman without systemd says at each start that it cannot run health checks by itself; they are run below.
compose() { "${composer[@]}" "${files[@]}" -p "$project" "$@" 2> >(grep -v -e systemd -e 'condition check' >&2); }

# The containers of a service.
containers_of() {
    "$engine" ps --all --quiet --filter "label=com.docker.compose.project=$project" \
        --filter "label=com.docker.compose.service=$1"
}

# All that the system has, but for what it has built.
forget() {
    local kind found
    # More than once, as podman removes none that another one depends on.
    for _ in 1 2 3; do
        found=$("$engine" ps --all --quiet --filter "label=com.docker.compose.project=$project")
        # shellcheck disable=SC2086 # a list of ids
        if [ -n "$found" ]; then "$engine" rm --force --volumes $found >/dev/null 2>&1 || true; fi
    done
    for kind in volume network; do
        found=$("$engine" "$kind" ls --quiet --filter "label=com.docker.compose.project=$project" |
            grep -v '_target$' || true)
        # shellcheck disable=SC2086
        if [ -n "$found" ]; then "$engine" "$kind" rm $found >/dev/null || true; fi
    done
}

# What it prints is shown, as it says why it failed.
end_to_end() {
    local printed
    printed=$(compose --profile check run -T --rm e2e) || { printf '%s\n' "$printed" && return 1; }
    grep 'E2E TEST PASSED' <<<"$printed"
}

# The container of one service anew, with the present files.
again() {
    # shellcheck disable=SC2046 # a list of ids
    "$engine" rm --force $(containers_of "$1") >/dev/null
    compose up --no-build -d "$1"
}

# A container says that it is healthy: docker has asked itself, podman has to be told to.
is_healthy() {
    if [ "$engine" = docker ]; then
        [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]
    else
        podman healthcheck run "$1" >/dev/null 2>&1
    fi
}

# healthy SERVICE…: waits for every container of them. A first build may take most of an hour on a small machine.
healthy() {
    local service container end=$((SECONDS + 3600))
    for service in "$@"; do
        for container in $(containers_of "$service"); do
            until is_healthy "$container"; do
                if [ "$SECONDS" -gt "$end" ]; then
                    printf '%s does not become healthy\n' "$service" >&2
                    return 1
                fi
                sleep 1
            done
        done
    done
}

# at URL SERVICE: waits until this service is there.
at() {
    local end=$((SECONDS + 60))
    until curl --silent --fail --max-time 5 "$1/health" | grep --quiet "\"$2\""; do
        if [ "$SECONDS" -gt "$end" ]; then
            printf '%s is not %s\n' "$1" "$2" >&2
            return 1
        fi
        sleep 1
    done
}

# With the scopes that the seeds' calls need in production.
operator_token() {
    local container scope options=()
    for scope in users:read users:write orders:read orders:write analytics:read analytics:write; do
        options+=(--scope "$scope")
    done
    container=$(containers_of user-service | head -n 1)
    "$engine" exec "$container" /keelson token issue "${options[@]}" --subject test-compose --lifetime 1h
}

# Lines of the access log.
served() { "$engine" logs "$1" 2>&1 | grep -c -E 'keelson::access|(GET|POST|PUT|DELETE) /' || true; }

# all_have_served SERVICE: each container of it has answered requests.
all_have_served() {
    local container count
    for container in $(containers_of "$1"); do
        count=$(served "$container")
        printf '%s %s: %s requests\n' "$1" "${container:0:12}" "$count"
        if [ "$count" -lt 20 ]; then
            printf 'this instance was left out\n' >&2
            return 1
        fi
    done
}

# both_answer SERVICE URL
both_answer() {
    local number
    for number in $(seq 200); do
        curl --silent --fail --output /dev/null --max-time 5 "$2/api/v1/users/stats/count"
    done
    printf '%s answers\n' "$number"
    all_have_served "$1"
}

# rolling_restart SERVICE: its containers end and begin again, one after the other, while the gateway is asked.
rolling_restart() {
    local container code results loader
    results=$(mktemp)
    coproc LOAD { python3 scripts/containers/load.py "$gateway" "$load_rate" >"$results"; }
    # shellcheck disable=SC2153 # bash sets it with the coprocess
    loader=$LOAD_PID
    printf '%s\n' "$OPERATOR_TOKEN" >&"${LOAD[1]}"
    sleep 5
    for container in $(containers_of "$1"); do
        "$engine" stop --time 30 "$container" >/dev/null 2>&1
        code=$("$engine" inspect --format '{{.State.ExitCode}}' "$container")
        printf '%s %s ended with %s\n' "$1" "${container:0:12}" "$code"
        if [ "$code" != 0 ]; then return 1; fi
        "$engine" start "$container" >/dev/null 2>&1
        healthy "$1"
        sleep 5
    done
    printf 'end\n' >&"${LOAD[1]}"
    wait "$loader"
    cat "$results"
    grep --quiet '"failed": 0,' "$results"
    rm "$results"
    all_have_served "$1"
}

# fill_volume NAME: with the crates that this machine has, where containers reach no registry.
fill_volume() {
    local cargo=${CARGO_HOME:-$HOME/.cargo}
    "$engine" volume exists "$1" ||
        "$engine" volume create --label "com.docker.compose.project=$project" "$1" >/dev/null
    "$engine" run --rm --user 0 --network none --volume "$1:/target" --volume "$cargo/registry:/registry:ro" \
        keelson:dev sh -c 'mkdir -p /target/cargo-home && cp -a --update /registry /target/cargo-home/ &&
            chown -R 1000:1000 /target/cargo-home && chown 1000:1000 /target' 2> >(grep -v systemd >&2)
}

# What a failed run leaves to look at; the next one begins anew.
give_up() {
    local service container
    printf '\nFAILED. The last lines of each service:\n' >&2
    for service in "${services[@]}"; do
        for container in $(containers_of "$service"); do
            printf -- '-- %s %s\n' "$service" "${container:0:12}" >&2
            "$engine" logs --tail 15 "$container" >&2 2>&1 || true
        done
    done
    forget
}
