# shellcheck shell=bash
# Runs named steps and says at the end how long each took. Sourced by ./test, which sets `trap finish EXIT`.

bold='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

summary=''
current='' # the step that runs, and what to do when it fails
advice=''

# step NAME ADVICE COMMAND [ARGUMENT…]: a failing command ends the run.
#
# The command is not called in a condition, which would turn `set -e` off inside it.
step() {
    current=$1 advice=$2
    shift 2
    local start=$SECONDS
    printf '\n%s==> %s%s\n' "$bold" "$current" "$plain"
    "$@"
    record "$current" "$((SECONDS - start)) s"
    current=''
}

# skip NAME REASON
skip() { record "$1" "skipped: $2"; }

record() { printf -v summary '%s  %-14s %s\n' "$summary" "$1" "$2"; }

finish() {
    local code=$?
    printf '\n%s' "$summary"
    if [ "$code" = 0 ]; then
        printf '%sall green in %s s%s\n' "$green" "$SECONDS" "$plain"
    else
        printf '%sFAILED: %s%s (exit code %s, after %s s)\n' "$red" "$current" "$plain" "$code" "$SECONDS"
        printf 'What to do: %s\n' "$advice"
    fi
}
