#!/usr/bin/env bash
# The part of the official image's entry point that the compose files use.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
    chown -R postgres: "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "${BASH_SOURCE[0]}" "$@"
fi

user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password_file=${POSTGRES_PASSWORD_FILE:-}
    if [ -z "$password_file" ]; then
        : "${POSTGRES_PASSWORD:?or POSTGRES_PASSWORD_FILE must be set}"
        password_file=$(mktemp)
        printf '%s\n' "$POSTGRES_PASSWORD" >"$password_file"
    fi
    initdb --username="$user" --pwfile="$password_file" --auth-local=trust --auth-host=scram-sha-256
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=" start
    if [ "${POSTGRES_DB:-$user}" != postgres ]; then
        psql --username="$user" --dbname=postgres --command="CREATE DATABASE \"${POSTGRES_DB:-$user}\""
    fi
    pg_ctl --wait stop
fi
unset POSTGRES_PASSWORD
exec "$@" -c listen_addresses='*'
