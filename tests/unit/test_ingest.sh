#!/bin/sh
# freshet-ingest as a user runs it: formats, rejects, pipes, a busy and a full database. What is followed,
# and restarts, are in test_ingest_follow.sh.
. "${top_srcdir:-.}/tests/unit/ingest_kit.sh"

# ---- what goes in

story "an ndjson line is an event"
printf '%s\n' '{"topic":"a","data":"x"}' '{"topic":"b","type":"t","key":"k","data":{"n": [1.50]}}' \
    '' '{"topic":"b","data":1,"key":"k"}' >in
run 0 in
is 'SELECT topic, type, data, key FROM events' 'a||x|
b|t|{"n":[1.50]}|k'
says '2 events committed, 1 repeated, 0 rejected'

story "pointers choose from foreign JSON, and the line is kept as it is"
line='{"wiki": "en",  "meta":{"id":17}, "type":"edit"}'
echo "$line" | run 0 --topic-from /wiki --type-from /type --key-from /meta/id -
is 'SELECT topic, type, key, data FROM events' "en|edit|17|$line"

story "lines are data, and the last one needs no line end"
printf 'one\r\n\ntwo' | run 0 --format lines --topic log --type line
is 'SELECT topic, type, data FROM events' 'log|line|one
log|line|
log|line|two'

story "the bound of an event has the name that it has elsewhere, and its old one"
printf 'abc\nabcd\n' | run 0 --format lines --topic t --event-bytes 3
printf '[freshet-ingest]\nevent-max = 3\n' >config
printf 'abcd\nabc\n' | run 0 --config config --format lines --topic t
is 'SELECT data FROM events' 'abc
abc'
says 'line 1: too long for --event-bytes'

story "bytes that are no UTF-8 are rejected, or replaced where that is asked for"
printf 'good\nb\377d \303\251 \360\237\230\n\343\201\202\n' >in
run 0 --format lines --topic t in
is 'SELECT data FROM events' 'good
あ'
says 'in, line 2: data is not well-formed UTF-8'
sql 'DELETE FROM events'
run 0 --format lines --topic t --invalid-utf8 replace --rejects kept in
is 'SELECT data FROM events' 'good
b�d é ���
あ'
says 'in: 1 event with bytes that are not UTF-8; each of these was replaced by U+FFFD'
[ ! -s kept ] || fail "kept: $(cat kept)"
sql 'DELETE FROM events'
printf '{"uri":"/\377\376","id":"k"}\n{"uri":"/","id":"\377"}\n\377\n' |
    run 0 --topic t --topic-from /uri --key-from /id --invalid-utf8 replace --rejects kept
is 'SELECT topic, key, data FROM events' '/��|k|{"uri":"/��","id":"k"}'
says 'line 2: the key is not well-formed UTF-8; it could be taken for another one'
printf '{"uri":"/","id":"\377"}\n\377\n' | cmp -s - kept || fail "--rejects kept something else"
printf 'event: \377\ndata: \377\nid: \377\n\n' | run 0 --format sse --topic s --invalid-utf8 replace
is "SELECT type, data FROM events WHERE topic = 's'" '�|�'

story "a line of NDJSON may be a number or a string where pointers choose, and is kept as it is"
printf '5\n"x"\nnull\n[{"a":"deep"}]\n' | run 0 --topic t --topic-from /0/a --key-from /id
is 'SELECT topic, key, data FROM events' 't||5
t||"x"
t||null
deep||[{"a":"deep"}]'
printf '5\n' | run 0 --topic-from /a
says 'no topic: there is nothing at /a'

story "what curl -N prints of an SSE source goes in"
printf ':ok\n\nid: 1\nevent: message\ndata: {"wiki":"en"}\n\nid: 2\nevent: e\ndata: {"wiki":\ndata: "de"}\n\ndata: cut' |
    run 0 --format sse --topic-from /wiki --key-id --source wiki
is 'SELECT topic, type, key, length(data) FROM events' 'en||1|13
de|e|2|14'
run 0 --last-id --source wiki
[ "$(cat out)" = 2 ] || fail "the last id is \"$(cat out)\""

story "what is no event stream is no success"
printf '<!DOCTYPE html>\n<html>\n\n<h1>502 Bad Gateway</h1>\n' | run 1 --format sse --topic t
says 'error: standard input: not an event stream: no message in 49 bytes; line 1 is not a field'
lines 1 3 | run 1 --format sse --topic t
says 'not an event stream: no message'
printf 'id: 1\ndata: a\nid: 2\ndata: b\n' | run 1 --format sse --topic t
says 'not an event stream: no message in 28 bytes; a blank line ends each message'
printf ': keep\n\n: alive\nretry: 5\n' | run 0 --format sse --topic t
silent_about 'not an event stream'
printf ':ok\n\nevent: freshet:live\ndata: {}\n\n' | run 0 --format sse --topic t
printf 'data: a\n\nfoo: bar\ndata: b\n\n<html>\n\n' | run 0 --format sse --topic t
says 'warning: standard input: 2 lines are not fields of an event stream, the first is line 3; they were skipped'
is 'SELECT data FROM events' 'a
b'
lines 1 3 >log
start --follow log --format sse --topic t
wait_for said 'warning: log: not an event stream: no message in 75 bytes'
end TERM 0

# ---- what does not

story "bad lines are reported and kept, and the good ones go in"
{
    echo '{"topic":"t","data":"1"}'
    printf '{"topic":"t","data":"\377"}\r\n'
    echo '{"topic":"t"}'
    head -c 100000 /dev/zero | tr '\0' x
    echo
    echo '{"topic":"t","data":"2"}'
    echo '{"topic":"t","data":"2'
} >in
run 0 --rejects kept --event-bytes 1K in
is "$all_once" '2|2|1|2'
says 'line 2: not well-formed UTF-8'
says 'line 3: no member'
says 'line 4: too long'
says 'line 6: not JSON'
says '2 events committed, 0 repeated, 4 rejected'
sed '/"data":"[12]"}$/d' in | cmp -s - kept || fail "--rejects kept something else"

story "a rejected block of an SSE stream is kept, and goes in when it is fed again"
{
    printf 'id: 1\ndata: {"wiki":"en"}\n\n'
    printf 'event: edit\nid: 2\ndata: {"n":\ndata: 1}\n\n'
    printf 'data: no JSON\n\n'
} >in
run 0 --format sse --topic-from /wiki --key-id --rejects kept in
says '1 events committed, 0 repeated, 2 rejected'
run 0 --format sse --topic again --key-id kept
is "SELECT type, key, data FROM events WHERE topic = 'again'" 'edit|2|{"n":
1}
||no JSON'

story "what is rejected is kept, also when no event comes after it"
printf 'bad\n' | run 0 --rejects kept
[ "$(cat kept)" = bad ] || fail "kept: $(cat kept)"
lines 1 5 >in
printf 'worse\nworst' >>in
run 0 --rejects kept --batch-events 5 in
[ "$(cat kept)" = "bad
worse
worst" ] || fail "kept: $(cat kept)"

story "and while a file is followed, before anything ends"
kept_is() { [ "$(cat kept 2>/dev/null)" = "$1" ]; }
echo bad >log
start --follow log --rejects kept
wait_for kept_is bad
echo worse >>log
wait_for kept_is "bad
worse"
end KILL 137

story "rejects never go where the input or the database is"
{ lines 1 3; echo bad; } >in
cp in same
ln -s in link
ln in hard
for args in '--rejects in in' '--rejects link in' '--rejects ./hard in' '--follow in --rejects in' \
    '--follow log --rejects log' '--follow log --rejects ./log.1' '--source s --rejects in.1 in' \
    '--follow log --rejects log-20260101' '--rejects db in' '--rejects db-wal in'; do
    # shellcheck disable=SC2086
    run 64 $args
    says '--rejects'
done
run 64 --rejects in <hard
run 64 --rejects in - <./link
cmp -s in same || fail "the input was written to"
if [ -e log ] || [ -e log.1 ]; then fail "a file was made"; fi
is 'SELECT count(*) FROM events' 0
run 0 --follow none --last-id --source s --rejects none
run 0 --rejects in.rejects in
[ "$(cat in.rejects)" = bad ] || fail "kept: $(cat in.rejects)"

story "rejects that cannot be kept end the run, and nothing that came after is committed"
lines 1 10 >in
echo 'no JSON' >>in
lines 11 20 >>in
run 1 --rejects /dev/full in
says '--rejects /dev/full: No space left on device'
is 'SELECT count(*) FROM events WHERE data + 0 > 10' 0
run 1 --rejects "$dir/there/is/none" in
says "--rejects $dir/there/is/none: No such file or directory"

story "on a terminal one line tells how far it is, and is gone at the end"
{
    lines 1 20 | sed "s/\"}/ $(head -c 100000 /dev/zero | tr '\0' x)&/"
    echo 'no JSON'
    lines 21 30
} >in
TERM=xterm script -qec "'$ingest' --db db --rate 30 in" /dev/null >out </dev/null 2>err ||
    fail "exit status $? on a terminal"
esc=$(printf '\033')
tr '\r' '\n' <out >err
says "^$esc\[K[0-9]* events  [0-9]*/s  .* of 2.0 MB ([0-9]*%)  [0-9]*:[0-9][0-9] left"
says '  1 rejected$'
says "^$esc\[K.*30 events committed, 0 repeated, 1 rejected"
TERM=xterm script -qec "'$ingest' --quiet --db db --rate 30 in" /dev/null >out </dev/null 2>err
! grep -q "$esc" out || fail "--quiet draws"

story "many bad lines do not flood the journal"
seq 1 5000 >in
run 0 in
says '5000 rejected'
[ "$(wc -l <err)" -lt 40 ] || fail "$(wc -l <err) lines were said"

story "--strict stops at the first one, and a restart begins there"
{ lines 1 3; echo bad; lines 4 5; } >in
run 1 --strict --source s in
says '--strict: in, line 4: not JSON'
is "$all_once" '3|3|1|3'
sed -i 's/bad/{"topic":"t","data":"0"}/' in
run 0 --strict --source s in
is "$all_once" '6|6|0|5'

story "wrong usage is 64, and says what is wrong"
for args in '--format xml' '--format lines' '--nonsense' '--topic-from x --topic t' 'a b' '--follow a b' \
    '--last-id' '--format lines --topic t --key-from /k' '--format sse' '--key-id' '--batch-events 0'; do
    # shellcheck disable=SC2086
    run 64 $args
    [ -s err ] || fail "nothing was said about $args"
done
"$ingest" 2>err
[ $? -eq 64 ] || fail "--db is not required"
echo | run 64 --source s
says 'is a pipe'

story "what is not there is 1"
run 1 nowhere
says 'nowhere: No such file'
run 1 .
says 'is a directory'
rm db*
lines 1 1 | run 1
says db

# ---- when it goes in

story "an event from a slow pipe is committed at once"
mkfifo pipe
start --batch-time 1h pipe
exec 3>pipe
lines 1 1 >&3
wait_for count_is 1
lines 2 3 >&3
wait_for count_is 3
exec 3>&-
wait "$pid" || fail "the end of the pipe is not 0"

story "a signal commits what was read and ends with 0"
mkfifo pipe
for signal in TERM INT; do
    start pipe
    exec 3>pipe
    lines 1 10 >&3
    printf '{"topic":"t","data":"half' >&3
    wait_for count_is 10
    end $signal 0
    exec 3>&-
    says '10 events committed'
    sql 'DROP TABLE events' 2>/dev/null
    rm -f db*
    "$make_db" db
done

story "--rate holds back"
before=$(date +%s%N)
lines 1 20 | run 0 --rate 100
spent=$((($(date +%s%N) - before) / 1000000))
[ $spent -ge 150 ] || fail "20 events at 100/s took $spent ms"
is "$all_once" '20|20|1|20'

# ---- trouble

story "a busy database is waited for"
mkfifo lock
sqlite3 db <lock >locked 2>&1 &
pids="$pids $!"
exec 4>lock
echo 'BEGIN IMMEDIATE; SELECT 1;' >&4
wait_for test -s locked
lines 1 100 >in
start in
wait_for said 'waiting: another program'
count_is 0 || fail "events got past the lock"
echo 'COMMIT;' >&4
wait "$pid" || fail "it did not end well"
is "$all_once" '100|100|1|100'

story "a signal ends the waiting with 75"
mkfifo lock
exec 4>&-
sqlite3 db <lock >locked 2>&1 &
pids="$pids $!"
exec 4>lock
echo 'BEGIN IMMEDIATE; SELECT 1;' >&4
wait_for test -s locked
lines 1 100 >in
start --source s in
wait_for said 'waiting: another program'
end TERM 75
says 'were not committed'
exec 4>&-
run 0 --source s in
is "$all_once" '100|100|1|100'

story "a full disk stops it, and nothing that was committed is lost"
lines 1 20000 >in
(
    ulimit -f 400 # blocks of 512 bytes: the size limit of a file stands for the disk's
    "$ingest" --db db --source s --batch-events 100 in >out 2>err
)
[ $? -eq 1 ] || fail "a full disk is not 1"
grep -q error err || fail "it is not reported"
n=$(sql 'SELECT count(*) FROM events')
if [ "$n" -eq 0 ] || [ "$n" -eq 20000 ]; then fail "$n events were committed"; fi
run 0 --source s in
is "$all_once" '20000|20000|1|20000'

story "a failure is reported at once, also while the input is silent"
mkfifo pipe
(
    ulimit -f 400
    exec "$ingest" --db db --batch-events 10 pipe >out 2>err
) &
pid=$!
pids="$pids $pid"
exec 3>pipe
n=0
while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do # each round commits; nothing ends the input
    n=$((n + 1))
    lines $((n * 100 - 99)) $((n * 100)) >&3
    wait_for count_or_gone $((n * 100))
done
wait "$pid"
[ $? -eq 1 ] || fail "the failure is not 1"
exec 3>&-

finish
