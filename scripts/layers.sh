#!/bin/sh
# The layer rule of docs/architecture.md: who may include whom. Prints each breach; fails if there is one.
# usage: scripts/layers.sh [SRC]
set -eu
cd "${1:-$(dirname "$0")/../src}"

rules='
base
http         base
config       base
evidence     base http
attestation  base http
identity     base http
key          base http
storage      base http
envelope     base
output       base
manifest     base
finding      base
policy       base finding
inspect      base finding policy evidence key envelope manifest
access       base http config evidence attestation identity key storage
job          base http config access storage envelope output manifest
seal         base http config access key storage envelope manifest
doctor       base http config access evidence identity key storage envelope output manifest finding policy inspect
child        base
guard        base
cli          base config access job seal child guard output evidence finding policy inspect doctor
main.c       base cli
'

grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' . | sed 's|^\./||' | awk -v rules="$rules" '
BEGIN {
    n = split(rules, line, "\n")
    for (i = 1; i <= n; i++) {
        m = split(line[i], word, " ")
        if (m > 0) known[word[1]] = 1
        for (j = 2; j <= m; j++) allowed[word[1], word[j]] = 1
    }
}
{
    split($0, part, ":")
    file = part[1]
    room = file; sub("/.*", "", room)
    header = $0; sub(/^[^"]*"/, "", header); sub(/".*/, "", header)
    target = header; sub("/.*", "", target)
    why = ""
    if (!(room in known)) why = "a room without a rule"
    else if (header !~ "/") why = "an include without its room"
    else if (target != room && !((room, target) in allowed)) why = room " may not know " target
    else if (target != room && header != target "/" target ".h") why = "not the public header of " target
    if (why != "") { print file ":" part[2] ": \"" header "\": " why; bad = 1 }
}
END { exit bad }'
curl_users=$(grep -rlE '#[[:space:]]*include[[:space:]]*<curl/' --include='*.[ch]' . | grep -v '^\./http/' || true)
[ -z "$curl_users" ] || { echo "libcurl outside of http: $curl_users"; exit 1; }
exits=$(grep -rnE '(^|[^_a-zA-Z])(exit|_exit|abort)[[:space:]]*\(' --include='*.[ch]' . | grep -v '^\./main\.c' || true)
[ -z "$exits" ] || { echo "exit outside of main.c: $exits"; exit 1; }
echo "layers: every include follows the rule"
