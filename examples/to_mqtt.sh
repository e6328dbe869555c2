#!/bin/sh
# A plug-in for Penstock: publishes the body of each request under TOPIC/<type>, e.g. plant/2 for tablets, and answers
# once the broker has it (quality 1). What was not answered comes again. Needs mosquitto_pub.
#
#   CREATE PIPEPLUGIN mqtt AS 'to_mqtt.sh HOST PORT TOPIC' USING URI 'file:to_mqtt.sh'
set -eu

# A number of $1 bytes from standard input, most significant first; nothing at the end.
number() {
    head -c "$1" | od -An -v -tu1 | awk '{ for (i = 1; i <= NF; i++) all = all * 256 + $i; seen = NF }
        END { if (seen) print all }'
}

body=$(mktemp)
trap 'rm -f "$body"' EXIT
while length=$(number 4) && [ -n "$length" ]; do
    head -c 12 >/dev/null # the length again, and the checksum
    version_and_type=$(number 3)
    type=$((version_and_type % 65536)) size=$((length - 8 - 3))
    head -c $size >"$body"
    [ "$(wc -c <"$body")" = $size ] # or the end came first
    case $type in
    50 | 51) ;; # a handshake: any node is welcome
    *) mosquitto_pub -h "$1" -p "$2" -t "$3/$type" -q 1 -f "$body" </dev/null >&2 ;;
    esac
    printf '\000'
done
