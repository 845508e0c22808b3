# shellcheck shell=sh
# The kit of the tests of freshet-ingest: a directory of their own, and words for stories. To be sourced.
# Nothing here waits for a fixed time: wait_for polls for a condition with a deadline.
set -u
# shellcheck source=tests/lib/patience.sh
. "${top_srcdir:-.}/tests/lib/patience.sh"
trap '' PIPE # a reader that is gone makes a write fail, and that is looked at
ingest=$PWD/freshet-ingest
make_db=$PWD/tests/unit/make_db
command -v sqlite3 >/dev/null || { echo "no sqlite3 shell"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/test_ingest.XXXXXX") || exit 99
cd "$dir" || exit 99
pids=
failures=0
clean_up() {
    for pid in $pids; do
        kill -9 "$pid" 2>/dev/null
    done
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# ---- the kit

story() {
    story=$1
    rm -rf "${dir:?}"/*
    "$make_db" db
}
fail() {
    echo "FAILED: $story: $*"
    sed 's/^/    /' err 2>/dev/null | head -20
    failures=$((failures + 1))
}
sql() { sqlite3 -cmd '.timeout 10000' db "$1" 2>/dev/null; }
# is WHAT EXPECTED: WHAT is SQL or a command's output
is() { got=$(sql "$1"); [ "$got" = "$2" ] || fail "$1: got \"$got\", not \"$2\""; }
says() { grep -q -- "$1" err || fail "nothing was said about \"$1\""; }
silent_about() { ! grep -q -- "$1" err || fail "\"$1\" was said"; }
# run STATUS ARGUMENT...: in the foreground
run() {
    expected=$1
    shift
    "$ingest" --db db "$@" >out 2>err
    got=$?
    [ $got -eq "$expected" ] || fail "exit status $got, not $expected, from: $*"
}
# start ARGUMENT...: in the background, as $pid
start() {
    "$ingest" --db db "$@" >out 2>err &
    pid=$!
    pids="$pids $pid"
}
# shared: other users may write to the database. The -wal and -shm of it stay, because a connection is kept: who
# makes them gives them their mode a moment later, in which another user would be refused.
shared() {
    mkfifo hold
    sqlite3 db <hold >/dev/null 2>&1 &
    pids="$pids $!"
    exec 9>hold
    echo 'BEGIN; SELECT count(*) FROM events;' >&9
    wait_for test -e db-shm
    chmod 777 "$dir"
    chmod 666 db*
}
# start_as_other ARGUMENT...: as start, as a user who owns none of the files; only root can
start_as_other() {
    setpriv --reuid=65534 --regid=65534 --clear-groups "$ingest" --db db "$@" >out 2>err &
    pid=$!
    pids="$pids $pid"
}
is_root() { [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; }
# end SIGNAL STATUS: of what was started
end() {
    kill "-$1" "$pid"
    wait "$pid"
    got=$?
    [ $got -eq "$2" ] || fail "exit status $got, not $2, after SIG$1"
}
wait_for() {
    deadline=$(($(date +%s) + $(scaled 60)))
    until "$@"; do
        [ "$(date +%s)" -lt $deadline ] || { fail "waited in vain for: $*"; return 1; }
        sleep 0.05
    done
}
count_is() { [ "$(sql 'SELECT count(*) FROM events')" = "$1" ]; }
count_or_gone() { count_is "$1" || ! kill -0 "$pid" 2>/dev/null; }
some_events() { ! count_is 0; }
said() { grep -q -- "$1" err 2>/dev/null; }
lines() { seq -f '{"topic":"t","data":"%.0f"}' "$1" "$2"; } # FIRST LAST
all_once="SELECT count(*), count(DISTINCT data), min(data + 0), max(data + 0) FROM events"
# finish: the end of the test
finish() {
    [ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
}
