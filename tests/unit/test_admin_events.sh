#!/bin/sh
# freshet publish and freshet tail, as their user meets them. TAP.
#
# Runs in the build directory, which automake does; top_srcdir names the sources.
# shellcheck disable=SC2317 # functions are called through test_that
set -eu
for command in sqlite3 script; do
    command -v "$command" >/dev/null || {
        echo "1..0 # SKIP $command is not there"
        exit 77
    }
done
freshet=$PWD/freshet
dir=$(mktemp -d "${TMPDIR:-/tmp}/freshet-events.XXXXXX")
trap 'rm -rf "$dir"' EXIT
db=$dir/events.db
# shellcheck source=tests/lib/tap.sh
. "${top_srcdir:-.}/tests/lib/tap.sh"
unset NO_COLOR
TZ=UTC
export TZ

sql() {
    sqlite3 -batch -bail "$db" "$1"
}

# rows_are TEXT: topic|type|data|key of all rows, separated by blanks, and then an empty table.
rows_are() {
    found=$(sql "SELECT group_concat(topic || '|' || ifnull(type, '-') || '|' || data || '|' ||
        ifnull(key, '-'), ' ') FROM (SELECT * FROM events ORDER BY id)")
    sql 'DELETE FROM events'
    [ "$found" = "$1" ] || {
        echo "rows: $found"
        echo "instead of: $1"
        return 1
    }
}

# given INPUT COMMAND…: as ends, with an input.
given() {
    # shellcheck disable=SC2059 # the format is the test's own
    printf "$1" >"$dir/in"
    shift
    "$@" <"$dir/in"
}

publish() {
    "$freshet" publish --db "$db" "$@"
}
tail_() {
    "$freshet" tail --db "$db" "$@"
}
# On a terminal that is so wide.
terminal() {
    width=$1
    shift
    TERM=xterm script -qc "stty cols $width; $freshet tail --db $db $*" /dev/null
}

# soon PATTERN FILE: within a deadline.
soon() {
    deadline=$(($(date +%s) + $(scaled 15)))
    until grep -q -e "$1" "$2"; do
        [ "$(date +%s)" -lt "$deadline" ] || {
            echo "no \"$1\" in time; there is:"
            cat "$2"
            return 1
        }
        sleep 0.02
    done
}

printed() {
    [ "$(cat "$dir/out")" = "$1" ] || {
        echo "printed: $(cat "$dir/out")"
        return 1
    }
}

"$freshet" init --db "$db" >/dev/null
epoch=$(sql 'SELECT epoch FROM feed')

echo '# publish'
test_that 'an argument is an event' ends 0 "^1-$epoch\$" publish --topic a hello
test_that 'and it is there' rows_are 'a|-|hello|-'
test_that 'several arguments are several events' ends 0 "^4-$epoch\$" publish --topic a --type t -- 1 '' -3
test_that 'with one topic and type' rows_are 'a|t|1|- a|t||- a|t|-3|-'
test_that 'the whole input is one event' ends 0 "^5-$epoch\$" \
    given 'one\ntwo\n' publish --topic a
test_that 'without the last line end' rows_are "$(printf 'a|-|one\ntwo|-')"
test_that 'an empty input is an empty event' ends 0 "^6-$epoch\$" given '' publish --topic a
test_that 'and that is one' rows_are 'a|-||-'
test_that 'JSON lines' ends 0 "^8-$epoch\$" given \
    '{"topic":"b","data":{"x":[1, 2]},"key":"k1"}\n\n{"data":"text","type":"own"}' \
    publish --json --topic a --type t
test_that 'have their own members or those of the command line' rows_are \
    'b|t|{"x":[1,2]}|k1 a|own|text|-'
test_that 'arguments may be JSON too' ends 0 "^9-$epoch\$" publish --json '{"topic":"c","data":null}'
test_that 'and null is data' rows_are 'c|-|null|-'

test_that 'a key' ends 0 "^10-$epoch\$" publish --topic a --key 'k"1' first
test_that 'again: the same id' ends 0 "^10-$epoch\$" publish --topic a --key 'k"1' first
test_that 'and it is said' grep -q 'key "k"1" is known, nothing was written' "$dir/err"
test_that 'but not on standard output' printed "10-$epoch"
test_that 'with other data it was a mistake' ends 1 'key belongs to other events' \
    publish --topic a --key 'k"1' second
test_that 'with another type too' ends 1 'key belongs to other events' \
    publish --topic a --type t --key 'k"1' first
test_that 'the first one stays' rows_are 'a|-|first|k"1'
part=$(printf '\037')
test_that 'a key for several events' ends 0 "^12-$epoch\$" publish --topic a --key k 1 2
test_that 'again: the same ids' ends 0 "^12-$epoch\$" publish --topic a --key k 1 2
test_that 'with one event more it was a mistake' ends 1 'key belongs to other events' \
    publish --topic a --key k 1 2 3
test_that 'with one less too' ends 1 'key belongs to other events' publish --topic a --key k 1
test_that 'a key that looks numbered is another one' ends 0 "^13-$epoch\$" publish --topic a --key k/1 1
test_that 'one that is made so is refused' ends 1 'control character' \
    publish --topic a --key "k${part}1" 1
test_that 'they are numbered' rows_are "a|-|1|k${part}1 a|-|2|k${part}2 a|-|1|k/1"
control=$(printf 'x\033[2J')
publish --topic a --key "$control" 1 >/dev/null
test_that 'a known key does not act upon the terminal' ends 0 'key "x\\x1b\[2J" is known' \
    publish --topic a --key "$control" 1
sql 'DELETE FROM events'

test_that 'a bad line is named' ends 1 'line 3: not JSON' given \
    '{"topic":"b","data":1}\n\n{"topic":\n' publish --json
test_that 'a bad event too' ends 1 'event 2: topic has' publish --json '{"topic":"a","data":1}' \
    "{\"topic\":\"$(printf '%256s' '')\",\"data\":1}"
test_that 'an event without a topic' ends 1 'name it with --topic' publish --json '{"data":1}'
test_that 'an event without data' ends 1 'data is missing' publish --json '{"topic":"a"}'
test_that 'data above the bound' ends 1 'data has 5 bytes' publish --topic a --event-bytes 4 12345
test_that 'a type that is kept for signals' ends 1 'kept for signals' publish --topic a --type freshet:x 1
test_that 'NUL in the data' ends 1 'NUL' given 'a\000b' publish --topic a
test_that 'no event at all' ends 1 'no event in the input' given '\n \n' publish --json
test_that 'none of these was written' rows_are ''
test_that 'a missing database' ends 1 'freshet init --db' "$freshet" publish --db "$dir/none.db" --topic a 1
test_that 'no --db' ends 64 'db FILE is missing' "$freshet" publish --topic a 1
test_that 'no --topic' ends 64 'topic TOPIC is missing' publish 1
test_that 'publish --help' ends 0 'Usage: freshet publish' "$freshet" publish --help

# A writer that does not let go: the shell holds its transaction until its input ends.
mkfifo "$dir/hold"
sqlite3 -batch "$db" <"$dir/hold" >"$dir/held" 2>&1 &
holder=$!
exec 3>"$dir/hold"
echo "BEGIN IMMEDIATE; SELECT 'locked';" >&3
soon locked "$dir/held"
test_that 'another writer in the way: try again later' ends 75 'try again' publish --topic a 1
exec 3>&-
wait "$holder"

echo '# tail: what is there'
sql "INSERT INTO events(topic, type, created, data) VALUES ('a/b', 't', 1000, 'one'),
    ('a/c', NULL, 2000, 'two' || char(10) || char(27) || '[2J' || char(155) || char(8238)),
    ('d', 'u', 3000, CAST(x'ff41' AS TEXT)), ('d', 't', 4000, 'four')"
test_that 'all of it, in order' ends 0 "^1970-01-01 00:00:01	15-$epoch	a/b	t	one\$" tail_ --no-follow
test_that 'controls are written out' grep -q 'message	two\\n\\x1b\[2J\\u009b\\u202e$' "$dir/out"
test_that 'bytes that are not UTF-8 too' grep -q 'u	\\xffA$' "$dir/out"
test_that 'the newest' ends 0 '	four$' tail_ --no-follow --last 1
test_that 'and no more' [ "$(wc -l <"$dir/out")" -eq 1 ]
test_that 'topics and prefixes' ends 0 '	one$' tail_ --no-follow --topic 'a/*' --topic x
test_that 'and nothing else' [ "$(wc -l <"$dir/out")" -eq 2 ]
test_that 'types' ends 0 '	four$' tail_ --no-follow --type t
test_that 'as often as wanted' [ "$(tail_ --no-follow --type t --type u | wc -l)" -eq 3 ]
test_that 'none of the old ones' [ -z "$(tail_ --no-follow --last 0)" ]
test_that 'JSON' ends 0 "^{\"id\":\"15-$epoch\",\"topic\":\"a/b\",\"type\":\"t\",\"created\":1000,\"data\":\"one\"}\$" \
    tail_ --no-follow --json
cp "$dir/out" "$dir/json"
test_that 'JSON whose controls are escaped' grep -q '"two\\n\\u001b\[2J\\u009b\\u202e"' "$dir/json"
sed -n 2p "$dir/json" >"$dir/line"
test_that 'and that mean the same to others' [ "$(sqlite3 "$db" "SELECT count(*) FROM events
    WHERE data = json_extract(readfile('$dir/line'), '\$.data')")" = 1 ]

echo '# tail: on a terminal'
sql "INSERT INTO events(topic, created, data) VALUES ('wide', 5000, replace(hex(zeroblob(100)), '00', '日本'))"
terminal 70 --no-follow --last 2 >"$dir/out"
test_that 'colours' grep -q "$(printf '\033')\[32md" "$dir/out"
NO_COLOR=1 terminal 70 --no-follow --last 9 | tr -d '\r' >"$dir/out"
test_that 'none with NO_COLOR' [ "$(grep -c "$(printf '\033')" "$dir/out")" -eq 0 ]
test_that 'cut to the width' grep -q '…$' "$dir/out"
# A wide character takes two columns: with the cut one and its mark a line has 69 or 70.
test_that 'exactly' [ "$(grep '…$' "$dir/out" | sed 's/日/ww/g; s/本/ww/g; s/…/./' |
    awk '{ print (length($0) == 69 || length($0) == 70) }')" = 1 ]
test_that 'no controls there either' grep -q 'two\\n\\x1b\[2J\\u009b\\u202e' "$dir/out"

echo '# tail: following'
"$freshet" tail --db "$db" --last 0 >"$dir/follow" 2>"$dir/followed" &
tail=$!
# The first event may come before tail has begun: publish until one is seen.
deadline=$(($(date +%s) + $(scaled 15)))
until [ -s "$dir/follow" ] || [ "$(date +%s)" -gt "$deadline" ]; do
    publish --topic start 0 >/dev/null
    sleep 0.05
done
publish --topic a first second >/dev/null
test_that 'new events are printed' soon '	second$' "$dir/follow"
test_that 'each once' [ "$(grep -c '	first$' "$dir/follow")" -eq 1 ]
kill -STOP "$tail"
publish --topic a lost >/dev/null
sql 'DELETE FROM events'
publish --topic a after >/dev/null
kill -CONT "$tail"
test_that 'what was pruned before it could be shown is reported' soon 'pruned before they could be shown' "$dir/followed"
test_that 'and it goes on' soon '	after$' "$dir/follow"
kill -INT "$tail"
code=0
wait "$tail" || code=$?
# A background command of a shell script ignores SIGINT until it installs a handler of its own.
test_that 'SIGINT ends it well' [ "$code" -eq 0 ]

# The reader takes one line and leaves; tail ends though nothing more is published.
(tail_ --last 1; echo "status $?" >"$dir/pipe") 2>"$dir/err" | head -n 1 >"$dir/out"
test_that 'it ends when nobody reads' soon 'status 0' "$dir/pipe"
test_that 'without a complaint' [ ! -s "$dir/err" ]
test_that 'a full disk is a failure' ends 1 'standard output' sh -c \
    "exec '$freshet' tail --db '$db' --no-follow >/dev/full"
test_that 'a pattern that no topic can match' ends 64 'topic' tail_ --topic ''
test_that 'a missing --db' ends 64 'db FILE is missing' "$freshet" tail
test_that 'arguments are refused' ends 64 'one argument too many' tail_ more
test_that 'tail --help' ends 0 'NO_COLOR' "$freshet" tail --help
exit "$status"
