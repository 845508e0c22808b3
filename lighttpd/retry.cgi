#!/bin/sh
# What lighttpd sends in place of a 503 while the responder is away: a stream that only says when to
# come back. The process number spreads the time, so that clients do not all return at once. Whoever
# asked for JSON is told the truth.
case $HTTP_ACCEPT in
*application/*)
    printf 'Status: 503\r\nRetry-After: 3\r\nCache-Control: no-store\r\n\r\n'
    exit
    ;;
esac
printf 'Status: 200\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n'
printf 'retry: %d\n' $((2000 + $$ % 3000))
