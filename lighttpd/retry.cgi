#!/bin/sh
# What lighttpd sends instead of a 503 while the responder is down: a stream that only says when to come
# back. The process number spreads the time, so that clients do not all return at once. Clients that asked
# for JSON get the real status, and a refusal by lighttpd itself (401: log in first) stays one.
status=503
case $REDIRECT_STATUS in
4??) status=$REDIRECT_STATUS ;;
esac
case $status$HTTP_ACCEPT in
4* | *application/*)
    printf 'Status: %s\r\nRetry-After: 3\r\nCache-Control: no-store\r\n\r\n' "$status"
    exit
    ;;
esac
printf 'Status: 200\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n'
printf 'retry: %d\n' $((2000 + $$ % 3000))
