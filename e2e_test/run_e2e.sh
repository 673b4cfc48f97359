#!/usr/bin/env bash
# The end-to-end test against a deployed system: a message in through ALB_DNS, its object out of S3_BUCKET_NAME.
#
#   ALB_DNS=… API_TOKEN=… S3_BUCKET_NAME=… [AWS_REGION=…] e2e_test/run_e2e.sh [--yes]
#
# It is `keelson e2e`, which asks before real AWS is used; the options are handed on.
set -euo pipefail

missing=0
for name in ALB_DNS API_TOKEN S3_BUCKET_NAME; do
    if [ -z "${!name:-}" ]; then
        printf '%s is not set\n' "$name" >&2
        missing=1
    fi
done
if [ "$missing" = 1 ]; then
    printf 'expected: ALB_DNS (the load balancer), API_TOKEN (ingest'\''s token), S3_BUCKET_NAME (the archive)\n' >&2
    exit 64
fi

if command -v keelson >/dev/null; then exec keelson e2e "$@"; fi
cd "$(dirname "$0")/.."
exec cargo run --quiet --package keelson -- e2e "$@"
