# shellcheck shell=bash
# shellcheck disable=SC2034 # whoever sources this uses its variables
# What the walk-throughs of the seeds ask with. Sourced by them and by test_compose.

# OPERATOR_TOKEN: of production, where some of the seeds' calls need one. Development does not look at it.
json_type=(-H 'Content-Type: application/json')
operator=()
if [ -n "${OPERATOR_TOKEN:-}" ]; then operator=(-H "Authorization: Bearer $OPERATOR_TOKEN"); fi

# ask STATUS CURL-ARGUMENT…: prints the body. Another status than this one ends the walk.
ask() {
    local expected=$1 answer status
    shift
    answer=$(curl --silent --show-error --compressed --max-time 20 --write-out '\n%{http_code}' "$@") ||
        fail "no answer: curl $*"
    status=${answer##*$'\n'}
    if [ "$status" != "$expected" ]; then fail "$status instead of $expected: curl $*: ${answer%$'\n'*}"; fi
    printf '%s' "${answer%$'\n'*}"
}

# member NAME[.NAME…]: of the JSON object on standard input.
member() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name)] if isinstance(value, list) else value[name]
print(value if isinstance(value, str) else json.dumps(value))' "$1"
}

# same WHAT FOUND EXPECTED
same() {
    if [ "$2" != "$3" ]; then fail "$1 is $2 instead of $3"; fi
}

# eventually WHAT COMMAND…: for what needs a moment.
eventually() {
    local what=$1 end=$((SECONDS + 30))
    shift
    until "$@"; do
        if [ "$SECONDS" -gt "$end" ]; then fail "after 30 s still not so: $what"; fi
        sleep 0.3
    done
}

# Ends the script also out of $(…), whose failure `set -e` then sees.
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
