#!/bin/sh
# freshet-ingest follows files: rotation, truncation, late lines, restarts, kills. What is not about files is in
# test_ingest.sh.
. "${top_srcdir:-.}/tests/unit/ingest_kit.sh"

# ---- following

story "--follow goes along with a log through its life"
start --follow log
wait_for said 'waiting for log'
lines 1 10 >log
wait_for count_is 10
printf '{"topic":"t",' >>log
lines 11 20 | sed '1s/^{"topic":"t",//' >>log
wait_for count_is 20
mv log log.1 # rotated; the writer still has the old one
lines 21 30 >>log.1
wait_for count_is 30
: >log
lines 31 40 >>log.1 # the new one is there, but nobody has written to it
wait_for count_is 40
lines 41 50 >log
wait_for count_is 50
cp log log.1 # copytruncate
: >log
lines 51 60 >>log
wait_for count_is 60
rm log
lines 61 70 >log
wait_for count_is 70
end TERM 0
is "$all_once" '70|70|1|70'

story "two rotations while the reader is behind lose nothing"
lines 1 2000 >log
start --follow log --rate 4000
wait_for some_events
mv log log.1
lines 2001 2500 >log
mv log.1 log.2
mv log log.1
lines 2501 3000 >log
wait_for count_is 3000
end TERM 0
is "$all_once" '3000|3000|1|3000'

story "two rotations between looks, with dates, lose nothing"
lines 1 10 >log
start --follow log
wait_for count_is 10
kill -STOP "$pid"
lines 11 20 >>log
mv log log-20260101_0400
lines 21 30 >log
mv log log-20260101_0500
lines 31 40 >log
kill -CONT "$pid"
wait_for count_is 40
end TERM 0
is "$all_once" '40|40|1|40'
silent_about warning

story "nor do they where the extension stays last"
lines 1 10 >app.log
lines 98 99 >app-other.log
start --follow app.log
wait_for count_is 10
kill -STOP "$pid"
lines 11 20 >>app.log
mv app.log app-20260101.log
lines 21 30 >app.log
mv app.log app-20260102.log
lines 31 40 >app.log
kill -CONT "$pid"
wait_for count_is 40
end TERM 0
is "$all_once" '40|40|1|40'

# ---- a program that goes on writing to the old file

story "lines that a program writes to the rotated file go in too, and its last one when it is closed"
lines 1 10 >log
start --follow log
wait_for count_is 10
exec 5>>log
mv log log.1
lines 11 20 >log
wait_for count_is 20
lines 21 30 >&5
wait_for count_is 30
printf '{"topic":"t",' >&5
lines 31 40 >>log
wait_for count_is 40
printf '"data":"41"}' >&5 # no line end: a line only once nobody can go on with it
lines 42 50 >>log
wait_for count_is 49
exec 5>&-
wait_for count_is 50
end TERM 0
says 'a program still writes to the file that was rotated away'
is "$all_once" '50|50|1|50'

story "so do those that come while it is down, whatever the file is called by then"
lines 1 10 >log
exec 5>>log
start --follow log --source s
wait_for count_is 10
mv log log.1
lines 11 20 >log
wait_for count_is 20
end KILL 137
lines 21 30 >&5
mv log.1 before.log
lines 31 40 >>log
start --follow log --source s
wait_for count_is 40
lines 41 50 >&5
wait_for count_is 50
exec 5>&-
end TERM 0
is "$all_once" '50|50|1|50'
silent_about 'is gone'

story "and a run that does not follow reads them"
lines 1 10 >log
exec 5>>log
start --follow log --source s
wait_for count_is 10
mv log log.1
lines 11 20 >log
wait_for count_is 20
end TERM 0
lines 21 30 >&5
lines 31 40 >>log
run 0 --source s log
is "$all_once" '40|40|1|40'
run 0 --source s log
is "$all_once" '40|40|1|40'
exec 5>&-

story "rotated again and again while a program keeps all of them open: nothing is missing"
lines 1 10 >log
start --follow log
wait_for count_is 10
(
    exec 3>>log
    mv log log.1
    lines 11 20 >log
    exec 4>>log
    mv log.1 log.2
    mv log log.1
    lines 21 30 >log
    wait_for count_is 30
    lines 31 40 >&3
    lines 41 50 >&4
    lines 51 60 >>log
    wait_for count_is 60
)
end TERM 0
is "$all_once" '60|60|1|60'

if is_root; then
    story "of another user's file nobody knows whether it is open: it is kept for a while after its last line"
    shared
    lines 1 10 >log
    start_as_other --follow log --rotate-wait 300ms
    wait_for count_is 10
    exec 5>>log
    mv log log.1
    lines 11 20 >log
    wait_for count_is 20
    lines 21 30 >&5
    wait_for count_is 30
    printf '{"topic":"t","data":"31"}' >&5
    wait_for count_is 31
    exec 5>&-
    end TERM 0
    is "$all_once" '31|31|1|31'

    story "a new file that may not be read is reported at once, and ends the run when that lasts"
    shared
    lines 1 10 >log
    start_as_other --follow log --source s
    wait_for count_is 10
    mv log log.1
    (umask 077; : >log)
    wait_for said 'log: Permission denied; trying for'
    kill -0 "$pid" || fail "it did not try"
    lines 11 20 >>log
    wait "$pid"
    [ $? -eq 1 ] || fail "that is not 1"
    says 'error: log: Permission denied'
    chmod 644 log
    start_as_other --follow log --source s
    wait_for count_is 20
    end TERM 0
    is "$all_once" '20|20|1|20'

    story "one that gets its mode in time is read"
    shared
    lines 1 10 >log
    start_as_other --follow log
    wait_for count_is 10
    mv log log.1
    (umask 077; lines 11 20 >log)
    wait_for said 'log: Permission denied; trying for'
    chmod 644 log
    wait_for count_is 20
    end TERM 0
fi

# ---- what cannot be read is said

story "a file that is deleted, and one that is compressed, may have taken lines along: that is said"
lines 1 10 >log
start --follow log
wait_for count_is 10
kill -STOP "$pid"
mv log log.2
lines 11 20 >log
gzip log
mv log.gz log.1.gz
lines 21 30 >log
kill -CONT "$pid"
wait_for count_is 20
says 'log.1.gz is compressed: what is in it is missing'
silent_about 'deleted'
kill -STOP "$pid"
rm log
lines 31 40 >log
kill -CONT "$pid"
wait_for count_is 30
says 'has been deleted; if it was rotated more than once'
end TERM 0

story "a log that is truncated under a program that does not append: its hole is skipped, its line is kept"
lines 1 10 >line
dd if=line of=log bs=64k 2>/dev/null
size=$(wc -c <log)
start --follow log --source s
wait_for count_is 10
: >log # as copytruncate does, with no copy
lines 11 20 | dd of=log bs=64k seek="$size" oflag=seek_bytes conv=notrunc 2>/dev/null
wait_for count_is 20
says "log, line 1: skipped $size NUL bytes"
silent_about rejected:
end TERM 0
run 0 --source s log
is "$all_once" '20|20|1|20'

story "a hole of a terabyte costs no time"
truncate -s 1T log 2>/dev/null || truncate -s 8G log
size=$(wc -c <log)
lines 1 10 >>log
run 0 log
is "$all_once" '10|10|1|10'
says "line 1: skipped $size NUL bytes"

# ---- restarts

story "--source goes on where it was"
lines 1 10 >in
run 0 --source s in
run 0 --source s in
is "$all_once" '10|10|1|10'
lines 11 20 >>in
run 0 --source s in
is "$all_once" '20|20|1|20'
lines 21 30 >>in
run 0 --source s <in
is "$all_once" '30|30|1|30'

story "a half written line waits for the next run"
lines 1 2 >in
printf '{"topic":"t","data":' >>in
run 0 --source s in
says 'left for the next run'
printf '"3"}' >>in
run 0 --source s in
printf '\n' >>in
run 0 --source s in
is "$all_once" '3|3|1|3'

story "rotations while it was down are made good"
lines 1 10 >log
run 0 --source s log
lines 11 20 >>log
mv log log.2
lines 21 30 >log.1
lines 31 40 >log
run 0 --source s log
is "$all_once" '40|40|1|40'
silent_about 'is gone'

story "so are rotations with dates"
lines 1 10 >log
run 0 --source s log
lines 11 20 >>log
mv log log-20260101
lines 21 30 >log-20260102
lines 31 40 >log
run 0 --source s log
is "$all_once" '40|40|1|40'

story "so are those of a log that is reached by a symbolic link, as Kubernetes has them"
mkdir pods links
ln -s ../pods/0.log links/c.log
lines 1 10 >pods/0.log
run 0 --source s links/c.log
lines 11 20 >>pods/0.log
mv pods/0.log pods/0.log.20260102-150405
lines 21 30 >pods/0.log
start --source s --follow links/c.log
wait_for count_is 30
mv pods/0.log pods/0.log.20260102-160000
lines 31 40 >pods/0.log
wait_for count_is 40
lines 41 50 >>pods/0.log
lines 51 60 >pods/1.log # the container was started again
ln -sfn ../pods/1.log links/c.log
wait_for count_is 60
end TERM 0
is "$all_once" '60|60|1|60'
silent_about warning

story "a file under a name that no rotation gives is known by its inode"
lines 1 10 >log
run 0 --source s log
lines 11 20 >>log
mv log of-last-week.txt
lines 21 30 >log
run 0 --source s log
is "$all_once" '30|30|1|30'
silent_about 'is gone'

story "and a copy with truncation"
lines 1 10 >log
run 0 --source s log
lines 11 20 >>log
cp log log.1
lines 21 30 >log
run 0 --source s log
says 'by its content'
is "$all_once" '30|30|1|30'

story "a file that is gone is reported"
lines 1 10 >log
run 0 --source s log
rm log
lines 11 20 >log
run 0 --source s log
says 'is gone'
is "$all_once" '20|20|1|20'

story "an SSE file goes on after its last whole block"
printf 'id: 1\ndata: 1\n\nid: 2\nda' >in
run 0 --format sse --topic t --source s in
printf 'ta: 2\n\nid: 3\ndata: 3\n\n' >>in
run 0 --format sse --topic t --source s in
is "$all_once" '3|3|1|3'

story "killed anywhere, fifty times, while the log grows and rotates: nothing missing, nothing doubled"
# Before anything is rotated one run has seen the file: of a file that nobody has read nobody knows.
lines 1 100 >log
start --source s --follow log
wait_for count_is 100
end KILL 137
(
    for i in $(seq 2 150); do
        lines $((i * 100 - 99)) $((i * 100)) >>log
        [ "$i" -ne 60 ] || mv log log.1
        [ "$i" -ne 100 ] || { mv log.1 log.2; mv log log.1; }
        sleep 0.01
    done
) &
pids="$pids $!"
for i in $(seq 1 50); do
    start --source s --follow log --batch-events 40
    sleep "0.0$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
done
start --source s --follow log
wait_for count_is 15000
end TERM 0
is "$all_once" '15000|15000|1|15000'

finish
