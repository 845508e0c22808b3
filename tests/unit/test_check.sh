#!/bin/sh
# freshet check: a good database passes, also while it is written to; each damage is found and named. TAP.
#
# Runs in the build directory, which automake does; top_srcdir names the sources.
# shellcheck disable=SC2317 # functions are called through test_that
set -eu
command -v sqlite3 >/dev/null || {
    echo '1..0 # SKIP the sqlite3 shell is not there'
    exit 77
}
freshet=$PWD/freshet
ingest=$PWD/freshet-ingest
dir=$(mktemp -d "${TMPDIR:-/tmp}/freshet-check.XXXXXX")
writer=
trap '[ -z "$writer" ] || kill "$writer" 2>/dev/null || :; rm -rf "$dir"' EXIT
db=$dir/bad.db
# shellcheck source=tests/lib/tap.sh
. "${top_srcdir:-.}/tests/lib/tap.sh"

# A log with some past: 3,000 events of two topics, keys, the first 1,000 pruned, one ingest source.
"$freshet" init --db "$dir/good.db" >/dev/null
printf '%s\n' '{"topic":"a","data":1}' '{"topic":"a","data":2}' >"$dir/input"
"$ingest" --db "$dir/good.db" --source in "$dir/input" 2>/dev/null
sqlite3 "$dir/good.db" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2998)
    INSERT INTO events(topic, type, key, data)
    SELECT 'news/' || (i % 2), iif(i % 3, 'edit', NULL), 'k' || i, printf('%0100d', i) FROM n"
"$freshet" prune --db "$dir/good.db" --through 1000 >/dev/null
# One file and no WAL, so that what is done to it is what is there.
sqlite3 "$dir/good.db" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
page_size=$(sqlite3 "$dir/good.db" 'PRAGMA page_size')

# A copy of the good one to be damaged. sql runs with what keeps damages out switched off.
fresh() {
    rm -f "$db" "$db-wal" "$db-shm"
    cp "$dir/good.db" "$db"
}
sql() {
    sqlite3 -batch -bail "$db" '.dbconfig defensive off' \
        "PRAGMA ignore_check_constraints = ON; PRAGMA writable_schema = ON; $1"
}
# damage PART PATTERN SQL: the SQL makes a FAIL line of this part with the pattern in it.
finds() {
    test_that "$1: $2" ends 1 "^FAIL  $1 *.*$2" "$freshet" check --db "$db"
}
damage() {
    fresh
    sql "$3" >/dev/null
    finds "$1" "$2"
}
# oddity PART PATTERN SQL: a warning, and the exit status says that all promises hold.
oddity() {
    fresh
    sql "$3" >/dev/null
    test_that "$1: $2" ends 0 "^warn  $1 *.*$2" "$freshet" check --db "$db"
}
# bytes OFFSET TEXT: writes the text there.
bytes() {
    printf '%s' "$2" | dd of="$db" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
# Does what the last report advises, as it stands there; the last of it is a check of the new file.
rescue() {
    rm -f "$dir/saved.db"*
    sed -n '/save what can be read/,/freshet check --db/s/^ *→ //p' "$dir/out" |
        sed -e 1d -e "s|NEWFILE|$dir/saved.db|g" -e "s|FILE|$db|g" -e "s|^freshet|$freshet|; s|&& freshet|\&\& $freshet|" \
            >"$dir/advice"
    [ "$(wc -l <"$dir/advice")" -ge 4 ] && sh -e "$dir/advice" >"$dir/rescued"
}
# rescues AT_LEAST: events of the 2,000 of the good one.
rescues() {
    rescue && grep -q 'The database is sound' "$dir/rescued" &&
        [ "$(sqlite3 "$dir/saved.db" 'SELECT count(*) FROM events')" -ge "$1" ] &&
        [ "$(sqlite3 "$dir/saved.db" 'SELECT epoch FROM feed')" != "$(sqlite3 "$dir/good.db" 'SELECT epoch FROM feed')" ]
}
# The page with the root of a table or index, counted from 1.
root_of() {
    sqlite3 "$dir/good.db" "SELECT rootpage FROM sqlite_schema WHERE name = '$1'"
}
all_good() {
    "$freshet" check "$@" >"$dir/report" && ! grep -E '^(warn|FAIL)' "$dir/report" &&
        [ "$(grep -c '^ok ' "$dir/report")" -ge 9 ]
}

echo '# good ones'
test_that 'a good database passes' all_good --db "$dir/good.db"
test_that 'also quickly' all_good --db "$dir/good.db" --quick
"$freshet" init --db "$dir/new.db" >/dev/null
test_that 'a new one passes' all_good --db "$dir/new.db"
"$freshet" prune --db "$dir/new.db" --through 1 >/dev/null
test_that 'one that was emptied passes' all_good --db "$dir/new.db"
test_that 'the report counts the rows' ends 0 'events *2000 rows' "$freshet" check --db "$dir/good.db"
fresh
sql 'CREATE TABLE mine(a); CREATE TRIGGER audit AFTER INSERT ON events BEGIN INSERT INTO mine VALUES (1); END'
test_that 'tables and triggers of others are theirs' ends 0 'trigger audit of table events is not freshet' \
    "$freshet" check --db "$db"

# Writers do not stop for it, and what it sees of a half-done batch is nothing.
fresh
mkfifo "$dir/pipe"
"$ingest" --db "$db" --batch-events 50 <"$dir/pipe" >"$dir/ingest.log" 2>&1 &
writer=$!
exec 3>"$dir/pipe"
seq 500 | sed 's/.*/{"topic":"live","data":"&"}/' >"$dir/chunk"
(while [ ! -e "$dir/enough" ]; do cat "$dir/chunk"; done) >&3 &
rows() {
    sqlite3 -cmd '.timeout 5000' "$db" "SELECT count(*) FROM events WHERE topic = 'live'"
}
# more_than N: more than N rows are there, soon.
more_than() {
    deadline=$(($(date +%s) + $(scaled 20)))
    until [ "$(rows)" -gt "$1" ]; do
        [ "$(date +%s)" -le "$deadline" ] || return 1
        sleep 0.02
    done
}
more_than 0
for i in 1 2 3 4 5; do
    before=$(rows)
    test_that "a database that is written to passes, time $i" all_good --db "$db"
    test_that 'and goes on being written to' more_than "$before"
done
: >"$dir/enough"
exec 3>&-
wait "$writer" || :
writer=
# Whole chunks were given, so whole chunks must be there.
test_that 'and lost nothing' [ $(($(rows) % 500)) = 0 ]

echo '# files that are none'
printf 'something else, %4096s' '' >"$db"
finds file 'not an SQLite database'
: >"$db"
printf 'of another life' >"$db-wal"
finds file 'empty: there is no table'
test_that 'the WAL beside an empty file is left alone' [ "$(cat "$db-wal")" = 'of another life' ]
rm -f "$db-wal"
rm -f "$db"
sqlite3 "$db" 'CREATE TABLE a(b)'
finds file 'a database of another program'
test_that 'a missing file is named' ends 1 'no such file' "$freshet" check --db "$dir/missing.db"
test_that 'a directory is none' ends 1 'not a regular file' "$freshet" check --db "$dir"

echo '# who may write'
sharing() {
    fresh
    chmod "$1" "$db"
    chmod "$2" "$dir"
}
sharing 600 700
test_that 'one user alone is fine' ends 0 "^ok *writers *user $(id -un), mode 0600" "$freshet" check --db "$db"
sharing 660 755
test_that 'a group that may not write the directory' ends 0 \
    "^warn *writers *group $(id -gn) may write the database, but $dir, where" "$freshet" check --db "$db"
test_that 'and what to do is named' ends 0 "→ freshet init --group [A-Za-z0-9_-]* --db $db\$" "$freshet" check --db "$db"
sharing 660 770
test_that 'a directory that does not pass its group on' ends 0 '^warn *writers .*(setgid)\|(setgid) to' \
    "$freshet" check --db "$db"
sharing 660 2770
test_that 'a group and a directory of its own are fine' ends 0 "^ok *writers *group $(id -gn), mode 0660" \
    "$freshet" check --db "$db"
: >"$db-wal"
chmod 644 "$db-wal"
test_that 'a -wal that the group may not write' ends 0 "$db-wal keeps some\|^warn *writers .*-wal" \
    "$freshet" check --db "$db"
rm -f "$db-wal"
chmod 700 "$dir"

echo '# the head of the file'
damage file 'application_id is 0x00000001, although' 'PRAGMA application_id = 1'
damage file 'newer version of freshet: format 7, this one reads 1 to 2' 'PRAGMA user_version = 7'
damage file 'user_version is 0, although the tables are those of format 2' 'PRAGMA user_version = 0'
damage file 'feed.format is 3, but user_version is 2' 'UPDATE feed SET format = 3'
damage file 'the journal mode is delete' 'PRAGMA journal_mode = DELETE'

echo '# damaged pages'
fresh
bytes 0 'not SQLite any more'
finds file 'first bytes are not those'
fresh
truncate -s $((page_size * 10)) "$db"
finds file 'the file is cut short: it has 40960 bytes, its header says'
fresh
truncate -s $((page_size * 60)) "$db"
finds file 'the file is cut short'
test_that 'what was before the cut is saved by what the report advises' rescues 100
for name in events events_topic events_key feed; do
    fresh
    bytes $((($(root_of $name) - 1) * page_size)) 'xxxxxxxxxxxxxxxx'
    test_that "the root page of $name overwritten" ends 1 '^FAIL' "$freshet" check --db "$db"
    case $name in events_*) test_that 'and all events are saved' rescues 2000 ;; esac
done
# A leaf in the middle: the first of the pointers to its cells points nowhere (bytes 8 and 9).
fresh
leaf=$(sqlite3 "$dir/good.db" "SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' LIMIT 1 OFFSET 5")
bytes $(((leaf - 1) * page_size + 8)) "$(printf '\377\377')"
test_that 'a leaf with a wild pointer' ends 1 '^FAIL  structure' "$freshet" check --db "$db"
test_that 'all but its row are saved by what the report advises' rescues 1990
test_that 'is found quickly too' ends 1 '^FAIL  structure' "$freshet" check --db "$db" --quick
fresh
sql "DELETE FROM sqlite_schema WHERE name = 'events_topic'" >/dev/null
test_that 'pages that nobody owns' ends 1 '^FAIL  structure.*never used' "$freshet" check --db "$db"
damage structure 'row [0-9]* missing from index events_topic' \
    "DROP INDEX events_topic; CREATE INDEX events_topic ON events(topic) WHERE id > 2500;
     UPDATE sqlite_schema SET sql = 'CREATE INDEX events_topic ON events(topic)' WHERE name = 'events_topic'"
test_that 'and its cure is named' ends 1 'REINDEX events_topic' "$freshet" check --db "$db"
sqlite3 "$db" 'REINDEX events_topic'
test_that 'and is one' all_good --db "$db"

echo '# the schema'
for name in events_only_grow events_stay_as_they_are events_deleted events_key_exists \
    events_are_not_replaced; do
    damage schema "trigger $name of table .* is missing" "DROP TRIGGER $name"
done
damage schema 'index events_topic of table events is missing' 'DROP INDEX events_topic'
damage schema 'index events_key of table events is missing' 'DROP INDEX events_key'
damage schema 'table ingest_cursor is missing' 'DROP TABLE ingest_cursor'
damage schema 'table feed is missing' 'DROP TABLE feed'
damage schema 'view position is missing' 'DROP VIEW position'
damage schema 'table events is not as freshet made it' 'ALTER TABLE events ADD COLUMN more'
damage schema 'trigger events_deleted is not as freshet made it' \
    'DROP TRIGGER events_deleted; CREATE TRIGGER events_deleted AFTER DELETE ON events BEGIN SELECT 1; END'
damage schema 'index events_key is not as freshet made it' \
    'DROP INDEX events_key; CREATE INDEX events_key ON events(key) WHERE key IS NOT NULL'
damage schema 'table events is not as freshet made it' 'ALTER TABLE events ADD COLUMN more TEXT'
damage file 'malformed database schema' \
    "UPDATE sqlite_schema SET sql = 'CREATE TABLE events(id INTEGER PRIMARY KEY, more) STRICT' WHERE name = 'events'"
fresh
sql "UPDATE sqlite_schema SET sql = replace(sql, 'AFTER DELETE', '  /* a note */ AFTER -- another
DELETE') WHERE name = 'events_deleted'"
test_that 'comments and blanks mean nothing' all_good --db "$db"

echo '# the log as a whole'
damage epoch 'feed.epoch is "K3f9"' "UPDATE feed SET epoch = 'K3f9'"
damage epoch 'feed has lost its row' 'DELETE FROM feed'
damage epoch 'feed has 2 rows' "INSERT INTO feed(one, epoch) VALUES (2, 'abcd')"
damage ids 'sqlite_sequence has no row' "DELETE FROM sqlite_sequence"
damage ids 'says that 2999 is the highest id ever given' "UPDATE sqlite_sequence SET seq = 2999"
damage ids 'sqlite_sequence has 2 rows' "INSERT INTO sqlite_sequence VALUES ('events', 1)"
damage ids 'nothing can be' 'UPDATE sqlite_sequence SET seq = 9007199254740992'
damage pruned 'pruned_through is 4000' 'UPDATE feed SET pruned_through = 4000; UPDATE sqlite_sequence SET seq = 3000'
damage pruned 'pruned_through is -1' 'UPDATE feed SET pruned_through = -1'
oddity pruned 'ids 901 to 1000' 'UPDATE feed SET pruned_through = 900'
oddity pruned '500 events are at or below 1500' 'UPDATE feed SET pruned_through = 1500'
damage keys 'key_guard has lost its row' 'DELETE FROM key_guard'

echo '# events'
damage events 'event 0: its id is not from 1' "INSERT INTO events(id, topic, data) VALUES (0, 'a', 'b')"
damage events 'event -5: its id is not from 1' "INSERT INTO events(id, topic, data) VALUES (-5, 'a', 'b')"
damage events 'event 9007199254740992: its id is not' \
    "INSERT INTO events(id, topic, data) VALUES (9007199254740992, 'a', 'b')"
damage events 'event 3001: .*topic' "INSERT INTO events(topic, data) VALUES ('', 'b')"
damage events 'event 3001: .*topic' "INSERT INTO events(topic, data) VALUES ('a' || char(9), 'b')"
damage events 'event 3001: .*topic' "INSERT INTO events(topic, data) VALUES (printf('%0256d', 1), 'b')"
damage events 'event 3001: .*type' "INSERT INTO events(topic, type, data) VALUES ('a', 'freshet:x', 'b')"
damage events 'event 3001: .*key' "INSERT INTO events(topic, key, data) VALUES ('a', '', 'b')"
damage events 'event 3001: .*NUL' "INSERT INTO events(topic, data) VALUES ('a', 'b' || char(0))"
oddity events 'event 3001: data is not UTF-8' "INSERT INTO events(topic, data) VALUES ('a', CAST(x'ff' AS TEXT))"
oddity events '1 events were created more than a day in the future' \
    "INSERT INTO events(topic, data, created) VALUES ('a', 'b', 99999999999999)"
damage events '5 more events break rules' \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25)
     INSERT INTO events(topic, data) SELECT '', i FROM n"
damage keys 'key "twice" occurs in 2 events, the first is 3001, the last 3002' \
    "DROP INDEX events_key; DROP TRIGGER events_key_exists;
     INSERT INTO events(topic, key, data) VALUES ('a', 'twice', 1), ('a', 'twice', 2)"

echo '# ingest sources'
damage sources 'source "in": the stored position is not one: 42' "UPDATE ingest_cursor SET position = '42'"
damage sources 'source "in".*offset' "UPDATE ingest_cursor SET position = '{\"offset\":-1}'"
damage sources 'cannot begin at byte 3' \
    "UPDATE ingest_cursor SET position = json_set(position, '\$.offset', 3, '\$.line', 9)"
damage sources 'inode 0' "UPDATE ingest_cursor SET position = json_set(position, '\$.inode', 0)"
oddity_free() {
    fresh
    sql "INSERT INTO ingest_cursor VALUES ('sse', '{\"id\":\"17\"}')"
    all_good --db "$db"
}
test_that 'the position of an SSE source is one' oddity_free

echo '# formats'
old=$dir/old.db
sqlite3 "$old" <"${top_srcdir:-.}/sql/schema-1.sql" >/dev/null
sqlite3 "$old" "INSERT INTO events(topic, data, created) VALUES ('a', 'x', 0), ('a', 'y', 1795867841757)"
no_failure() {
    ! "$freshet" check "$@" | grep '^FAIL'
}
test_that 'a file of format 1 is used as it is' ends 0 '^warn  file.*format 1, the current one is 2' \
    "$freshet" check --db "$old"
test_that 'and nothing is wrong with it' no_failure --db "$old"
test_that 'what format 1 allowed is not broken' ends 0 '^warn  events.*1 events were created in 1970' \
    "$freshet" check --db "$old"
"$freshet" upgrade --db "$old" >/dev/null
test_that 'nor with an upgraded one' no_failure --db "$old"
test_that 'which is known to be one' ends 0 '^ok    schema *13 tables' \
    "$freshet" check --db "$old"
sqlite3 "$old" 'DROP TRIGGER events_created'
test_that 'what an upgrade made may be missing too' ends 1 'trigger events_created of table events is missing' \
    "$freshet" check --db "$old"
sqlite3 "$old" 'PRAGMA user_version = 1'
test_that 'half an upgrade is no format' ends 1 'FAIL  schema *table feed is not as freshet made it' \
    "$freshet" check --db "$old"
damage events 'event 3001: created is not above 0' "INSERT INTO events(topic, data, created) VALUES ('a', 'b', 0)"

echo '# a guest in the database of an application'
# An application's own table has a broken index, which is not freshet's affair.
sqlite3 "$dir/app.db" "CREATE TABLE events(a); CREATE TABLE orders(a); CREATE INDEX by_a ON orders(a);
    CREATE TRIGGER theirs AFTER INSERT ON events BEGIN SELECT 1; END;
    PRAGMA application_id = 5; PRAGMA user_version = 9; PRAGMA journal_mode = WAL" >/dev/null
"$PWD/tests/unit/make_db" --guest "$dir/app.db"
sqlite3 -batch "$dir/app.db" "INSERT INTO orders VALUES (1), (2);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO freshet_events(topic, key, data) SELECT 'a', 'k' || i, i FROM n;
    PRAGMA wal_checkpoint(TRUNCATE)" >/dev/null
guest() {
    rm -f "$db" "$db-wal" "$db-shm"
    cp "$dir/app.db" "$db"
    [ -z "${1-}" ] || sql "$1" >/dev/null
}
finds_in_guest() {
    guest "$3"
    finds "$1" "$2"
}
guest
test_that 'one passes' all_good --db "$db"
test_that 'and is known to be one' ends 0 "file *freshet's tables in an application's database, format 2" \
    "$freshet" check --db "$db"
guest "UPDATE sqlite_schema SET sql = 'CREATE INDEX by_a ON orders(a) WHERE a > 1' WHERE name = 'by_a'"
test_that 'what is wrong with tables of the application is not looked at' all_good --db "$db"
finds_in_guest structure 'row [0-9]* missing from index freshet_events_topic' \
    "DROP INDEX freshet_events_topic; CREATE INDEX freshet_events_topic ON freshet_events(topic) WHERE id > 250;
     UPDATE sqlite_schema SET sql = 'CREATE INDEX freshet_events_topic ON freshet_events(topic)' WHERE name = 'freshet_events_topic'"
test_that 'and its cure is named' ends 1 'REINDEX freshet_events_topic' "$freshet" check --db "$db"
finds_in_guest schema 'trigger freshet_events_deleted of table freshet_events is missing' 'DROP TRIGGER freshet_events_deleted'
finds_in_guest schema 'table freshet_ingest_cursor is missing' 'DROP TABLE freshet_ingest_cursor'
finds_in_guest schema 'table freshet_feed is missing' 'DROP TABLE freshet_feed'
finds_in_guest epoch 'table freshet_feed has lost its row' 'DELETE FROM freshet_feed'
test_that 'with the cure for it' ends 1 'INSERT INTO freshet_feed(epoch)' "$freshet" check --db "$db"
finds_in_guest ids 'sqlite_sequence has no row for freshet_events' "DELETE FROM sqlite_sequence WHERE name = 'freshet_events'"
test_that 'with the cure for it' ends 1 "VALUES ('freshet_events', 500)" "$freshet" check --db "$db"
finds_in_guest events 'event 501: .*topic' "INSERT INTO freshet_events(topic, data) VALUES ('', 'b')"
finds_in_guest file 'format 3, this one reads 1 to 2' 'UPDATE freshet_feed SET format = 3'
finds_in_guest file 'the journal mode is delete' 'PRAGMA journal_mode = DELETE'
test_that 'which is not for init to change' ends 1 'PRAGMA journal_mode = WAL' "$freshet" check --db "$db"

echo '# output'
fresh
sql "DROP TRIGGER events_deleted; INSERT INTO events(topic, data) VALUES (CAST(x'1b5b41ff' AS TEXT), 'b')"
test_that 'as JSON' ends 1 '"result":"fail"' "$freshet" check --db "$db" --json
cp "$dir/out" "$dir/json"
test_that 'JSON that others can read' [ "$(sqlite3 :memory: \
    "SELECT group_concat(value ->> 'part') FROM json_each(readfile('$dir/json'), '\$.findings')
     WHERE value ->> 'level' = 'fail'")" = schema ]
test_that 'a file name cannot write to the terminal' ends 1 'x\\x1b\[31m' "$freshet" check \
    --db "$dir/$(printf 'x\033[31m')"
test_that 'a missing --db' ends 64 'db FILE is missing' "$freshet" check
test_that 'a place that cannot be' ends 1 'Not a directory' \
    "$freshet" check --db /dev/null/x
exit "$status"
