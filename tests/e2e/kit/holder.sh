#!/bin/sh
# Stands in for systemd's socket unit with Restart=always: has the listening socket as descriptor 0
# (from spawn-fcgi -n), starts the responder with LISTEN_FDS and starts it again whenever it ends, so
# the socket outlives every responder.
#
# Usage: holder.sh PIDFILE COMMAND [ARGUMENT…]      PIDFILE always names the current responder
set -eu
pidfile=$1
shift
exec 3<&0 </dev/null
child=
trap 'trap - TERM; [ -z "$child" ] || kill "$child" 2>/dev/null || :; wait; exit 0' TERM
while :; do
    # The inner shell becomes the responder, so its number is the LISTEN_PID that is asked for.
    # shellcheck disable=SC2016
    LISTEN_FDS=1 sh -c 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"' sh "$@" &
    child=$!
    echo "$child" >"$pidfile.new"
    mv "$pidfile.new" "$pidfile"
    wait "$child" || :
done
