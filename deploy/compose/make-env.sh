#!/bin/sh
# Writes .env, the settings of docker-compose.yml, with a random value for every secret. Does not touch one that is there.
set -eu
cd "$(dirname "$0")/../.."

if [ -e .env ]; then
    echo ".env is there already; it is not changed. What it may hold: deploy/compose/env.example" >&2
    exit 1
fi

random() { # 48 characters that may stand in a URL as they are
    od -An -N 24 -t x1 /dev/urandom | tr -d ' \n'
}

umask 077
while IFS= read -r line; do
    case $line in
        *=random) printf '%s%s\n' "${line%random}" "$(random)" ;;
        *) printf '%s\n' "$line" ;;
    esac
done < deploy/compose/env.example > .env.unfinished
mv .env.unfinished .env
echo "wrote .env; the administrator's token is CONDARIUM_ADMIN_TOKEN in it"
