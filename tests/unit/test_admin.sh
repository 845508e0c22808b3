#!/bin/sh
# The operator's tool, freshet, as its user meets it: init, status, prune, token, wrong usage. TAP.
#
# Runs in the build directory, which automake does; top_srcdir names the sources.
# shellcheck disable=SC2317 # functions are called through test_that
set -eu
command -v sqlite3 >/dev/null || {
    echo '1..0 # SKIP the sqlite3 shell is not there'
    exit 77
}
freshet=$PWD/freshet
schema=${top_srcdir:-.}/sql/schema.sql
page=${top_srcdir:-.}/doc/freshet.1
dir=$(mktemp -d "${TMPDIR:-/tmp}/freshet-admin.XXXXXX")
trap 'rm -rf "$dir"' EXIT
db=$dir/events.db
# shellcheck source=tests/lib/tap.sh
. "${top_srcdir:-.}/tests/lib/tap.sh"

sql() {
    sqlite3 -batch -bail "$db" "$1"
}

make_schema_with_the_shell() {
    sqlite3 "$1" <"$schema"
}

# Only the shell keeps the empty comments before our names.
describe() {
    sqlite3 "$1" .schema 'PRAGMA application_id' 'PRAGMA user_version' 'PRAGMA journal_mode' | sed 's|/\*\*/||g'
}

same_schema() {
    describe "$1" >"$dir/a"
    describe "$2" >"$dir/b"
    diff "$dir/a" "$dir/b"
}

ids_are() {
    found=$(sql 'SELECT group_concat(id) FROM (SELECT id FROM events ORDER BY id)')
    [ "$found" = "$1" ] || {
        echo "ids $found instead of $1"
        return 1
    }
}

# soon COMMAND…: holds within a deadline.
soon() {
    deadline=$(($(date +%s) + $(scaled 15)))
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.02
    done
}

has_open() {
    find "/proc/$1/fd" -lname "*/$2" | grep -q .
}

# The other one has begun, init sees an empty file and waits, the other one commits.
somebody_is_faster() {
    raced=$dir/raced.db
    mkfifo "$dir/go"
    {
        sed '/^COMMIT;/,$d' "$schema"
        echo ".shell touch $dir/begun"
        cat "$dir/go"
    } | sqlite3 -batch -bail -cmd '.timeout 20000' "$raced" & # its COMMIT may meet a look of init's
    soon test -e "$dir/begun" || return 1
    "$freshet" init --db "$raced" >"$dir/out" 2>"$dir/err" &
    init=$!
    soon has_open "$init" raced.db || return 1
    sed -n '/^COMMIT;/,$p' "$schema" >"$dir/go"
    wait "$init" && grep -q 'exists already' "$dir/out" && same_schema "$raced" "$dir/shell.db"
}

to_full_disk() {
    "$@" >/dev/full
}

untouched() {
    [ "$(sqlite3 "$1" .schema)" = 'CREATE TABLE a(b);' ] &&
        [ "$(sqlite3 "$1" 'PRAGMA application_id' 'PRAGMA journal_mode' | tr '\n' ' ')" = '0 delete ' ]
}

echo '# init'
test_that 'init makes a database' ends 0 'made, epoch [0-9a-z]\{4\}$' "$freshet" init --db "$db"
epoch=$(sql 'SELECT epoch FROM feed')
modes_are() {
    found=$(stat -c %a "$@" | tr '\n' ' ')
    [ "$found" = "$modes " ] || {
        echo "modes $found instead of $modes"
        return 1
    }
}
modes=600
test_that 'which is its user'"'"'s alone, whatever the umask' modes_are "$db"
(umask 000 && "$freshet" init --db "$dir/umask.db" >/dev/null)
test_that 'also where the umask lets all in' modes_are "$dir/umask.db"
group=$(id -gn)
(umask 077 && "$freshet" init --db "$dir/shared/events.db" --group "$group" >"$dir/out")
modes='2770 660'
test_that 'init --group makes a directory and a database for a group' modes_are "$dir/shared" "$dir/shared/events.db"
test_that 'and says how to get into it' grep -q "usermod -aG $group USER" "$dir/out"
(umask 077 && sqlite3 "$dir/shared/events.db" "INSERT INTO events(topic, data) VALUES ('a', 'b')" \
    ".shell stat -c %a '$dir/shared/events.db-wal' '$dir/shared/events.db-shm' >'$dir/beside'")
test_that 'SQLite makes its files for the group too' [ "$(tr '\n' ' ' <"$dir/beside")" = '660 660 ' ]
mkdir "$dir/own"
chmod 755 "$dir/own"
"$freshet" init --db "$dir/own/events.db" >/dev/null
ln -s "$dir/own/events.db" "$dir/link.db"
test_that 'init --group opens one that exists, also through a link' ends 0 'exists already, epoch' \
    "$freshet" init --db "$dir/link.db" --group "$group"
test_that 'and its directory' modes_are "$dir/own" "$dir/own/events.db"
modes="$(stat -c %a "$dir") 600"
test_that 'a directory with other files is not touched' ends 1 "$dir: is left as it is" \
    "$freshet" init --db "$db" --group "$group"
test_that 'nor is the database in it' modes_are "$dir" "$db"
test_that 'and no new one is made in it' ends 1 "$dir: is left as it is" \
    "$freshet" init --db "$dir/another.db" --group "$group"
test_that 'really none' [ ! -e "$dir/another.db" ]
test_that 'a group that does not exist' ends 1 'groupadd --system no-such-group' \
    "$freshet" init --db "$dir/none/another.db" --group no-such-group
mkdir "$dir/texts"
echo text >"$dir/texts/a.txt"
modes="$(stat -c %a "$dir/texts" "$dir/texts/a.txt" | tr '\n' ' ' | sed 's/ $//')"
test_that 'what is no database is given to nobody' ends 1 'not an SQLite database' \
    "$freshet" init --db "$dir/texts/a.txt" --group "$group"
test_that 'and stays as it is' modes_are "$dir/texts" "$dir/texts/a.txt"
test_that 'init again says that it exists' ends 0 'exists already' "$freshet" init --db "$db"
test_that 'and leaves it as it is' [ "$(sql 'SELECT epoch FROM feed')" = "$epoch" ]
test_that 'the sqlite3 shell can make one too' make_schema_with_the_shell "$dir/shell.db"
test_that 'and it is the same' same_schema "$db" "$dir/shell.db"
test_that 'init takes it for its own' ends 0 'exists already' "$freshet" init --db "$dir/shell.db"
test_that 'two that make the same one at once make one' somebody_is_faster
test_that 'loading the schema twice is refused' ends 1 'in use already' \
    make_schema_with_the_shell "$dir/shell.db"
sqlite3 "$dir/foreign.db" 'CREATE TABLE a(b)'
test_that 'a database of others is refused by init' ends 1 'another program' \
    "$freshet" init --db "$dir/foreign.db"
test_that 'a database of others is refused by the schema' ends 1 'in use already' \
    make_schema_with_the_shell "$dir/foreign.db"
test_that 'and neither has changed it' untouched "$dir/foreign.db"
printf 'something else, %4096s' '' >"$dir/text"
test_that 'a file that is no database is refused' ends 1 'not an SQLite database' \
    "$freshet" init --db "$dir/text"
test_that 'a directory that does not exist is named' ends 1 "$dir/none/x.db" \
    "$freshet" init --db "$dir/none/x.db"
: >"$dir/empty.db"
test_that 'an empty file becomes a database' ends 0 'made, epoch' "$freshet" init --db "$dir/empty.db"

echo '# upgrade'
old=$dir/older.db
sqlite3 "$old" <"${schema%.sql}-1.sql" >/dev/null
sqlite3 "$old" "INSERT INTO events(topic, data) VALUES ('a', '1'), ('a', '2'); DELETE FROM events WHERE id = 1"
old_epoch=$(sqlite3 "$old" 'SELECT epoch FROM feed')
test_that 'init leaves an older database as it is' ends 0 'exists already' "$freshet" init --db "$old"
test_that 'status says that it is older' ends 0 '^format *1 (older' "$freshet" status --db "$old"
test_that 'upgrade says what it did' ends 0 'upgraded from format 1 to 2' "$freshet" upgrade --db "$old"
test_that 'and again that there is nothing to do' ends 0 'already has format 2' "$freshet" upgrade --db "$old"
test_that 'position, epoch and rows are what they were' [ "$(sqlite3 "$old" \
    'SELECT position.id, epoch, pruned_through, (SELECT max(id) FROM events) FROM position, feed')" = \
    "2-$old_epoch|$old_epoch|1|2" ]
test_that 'status says the new format' ends 0 '^format *2$' "$freshet" status --db "$old"
test_that 'a new database needs no upgrade' ends 0 'already has format 2' "$freshet" upgrade --db "$db"
sqlite3 "$old" 'PRAGMA user_version = 3'
for command in status upgrade init prune; do
    test_that "$command refuses a newer format" ends 1 'made by a newer version of freshet (format 3; this one reads 1 to 2)' \
        "$freshet" "$command" --db "$old" $([ "$command" != prune ] || echo --keep-rows=1)
done
test_that 'upgrade refuses what is not freshet'"'"'s' ends 1 'another program' \
    "$freshet" upgrade --db "$dir/foreign.db"
test_that 'upgrade of a missing file gives advice' ends 1 'freshet init --db' \
    "$freshet" upgrade --db "$dir/missing.db"

echo '# status'
test_that 'status of an empty log' ends 0 '^last event *none$' "$freshet" status --db "$db"
sql "INSERT INTO events(topic, data) VALUES ('a', '1'), ('b', '2'), ('a', '3'), ('c', '4'), ('a', '5')"
sql "INSERT INTO ingest_cursor VALUES ('wiki \"en\"', '42')"
test_that 'status counts events' ends 0 '^events *5$' "$freshet" status --db "$db"
test_that 'status counts topics' ends 0 '^topics *3$' "$freshet" status --db "$db"
test_that 'status names the sources' ends 0 '^source *wiki "en" at 42$' "$freshet" status --db "$db"
test_that 'status as JSON' ends 0 '"events":5,"oldest":1,"newest":5,"pruned_through":0,"topics":3' \
    "$freshet" status --db "$db" --json
cp "$dir/out" "$dir/json"
test_that 'JSON that others can read' [ "$(sqlite3 :memory: \
    "SELECT key, value FROM json_each(readfile('$dir/json'), '\$.sources')")" = 'wiki "en"|42' ]
# Somebody has it open, so there is a WAL.
through_a_link() {
    ln -s "$db" "$dir/link-to.db"
    sqlite3 "$db" "UPDATE ingest_cursor SET position = '41'" "UPDATE ingest_cursor SET position = '42'" \
        ".shell '$freshet' status --db '$dir/link-to.db' >'$dir/linked'"
    grep -q '^WAL bytes *[1-9]' "$dir/linked" || { cat "$dir/linked"; return 1; }
}
test_that 'status through a link finds the WAL' through_a_link
test_that 'status of a missing file gives advice' ends 1 'freshet init --db' \
    "$freshet" status --db "$dir/missing.db"

echo '# prune'
test_that 'a dry run counts' ends 0 '^2 events would be deleted$' \
    "$freshet" prune --db "$db" --keep-rows 3 --dry-run
test_that 'and deletes nothing' ids_are 1,2,3,4,5
test_that 'prune keeps the newest rows' ends 0 '^2 events deleted; pruned through 2$' \
    "$freshet" prune --db "$db" --keep-rows 3
test_that 'and no others' ids_are 3,4,5
test_that 'prune deletes through an id' ends 0 '^1 events deleted; pruned through 3$' \
    "$freshet" prune --db "$db" --through 3
sql "INSERT INTO events(topic, data, created) SELECT 'old', 'x', created + 1 FROM events WHERE id = 5"
test_that 'nothing is older than a day' ends 0 '^0 events deleted' \
    "$freshet" prune --db "$db" --older-than 1d
db2=$dir/old.db
make_schema_with_the_shell "$db2" >/dev/null
sqlite3 "$db2" "INSERT INTO events(topic, data, created)
    SELECT 'a', value, (CAST(strftime('%s') AS INTEGER) - 3600 * (10 - value)) * 1000
    FROM json_each('[0,1,2,3,4,5,6,7,8,9]')"
test_that 'prune by age' ends 0 '^5 events deleted; pruned through 5$' \
    "$freshet" prune --db "$db2" --older-than 330m
sqlite3 "$db2" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12345)
    INSERT INTO events(topic, data) SELECT 'many', i FROM n"
test_that 'prune takes as many batches as it needs' ends 0 '^12349 events deleted; pruned through 12354$' \
    "$freshet" prune --db "$db2" --keep-rows 1
test_that 'all may go' ends 0 '^1 events deleted' "$freshet" prune --db "$db2" --through 99999999
test_that 'and status tells where the next will stand' ends 0 '^oldest *12356 (will be the next)$' \
    "$freshet" status --db "$db2"

echo '# token'
printf 'a secret of thirty-two bytes or so\n' >"$dir/secret"
printf 'some other secret, as long as that\n' >"$dir/other"
token() {
    "$freshet" token --key "$dir/secret" "$@"
}
# Three parts of base64, one line.
looks_like_a_token() {
    token "$@" >"$dir/token" && [ "$(grep -cE '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}$' "$dir/token")" = 1 ]
}
test_that 'a token is made' looks_like_a_token --read 'news/* own' --write chat --subject 42 \
    --audience events --issuer login --claims '{"role":"x","sub":"y"}'
made=$(cat "$dir/token")
for pattern in '"alg": *"HS256"' '"read":\[' '"news/\*"' '"chat"' '"sub":"42"' '"aud":"events"' \
    '"iss":"login"' '"role":"x"' '^expires 2.*(+3[0-9]* s' 'signature not checked'; do
    test_that "inspecting it shows $pattern" ends 0 "$pattern" "$freshet" token --inspect "$made"
done
test_that 'its signature is right' ends 0 'signature good' \
    "$freshet" token --inspect "$made" --key "$dir/secret"
test_that 'with another key it is not' ends 1 'signature does not match' \
    "$freshet" token --inspect "$made" --key "$dir/other"
from_standard_input() {
    echo "$made" | "$freshet" token --inspect - --key "$dir/secret" | grep -q 'signature good'
}
test_that 'a token may come from standard input' from_standard_input
looks_like_a_token --expires 0
test_that 'a token that never expires names no end' ends 1 'expires' \
    sh -c "'$freshet' token --inspect '$(cat "$dir/token")' | grep expires || { echo no expires; exit 1; }"
test_that 'garbage is no token' ends 1 'malformed' "$freshet" token --inspect a.b.c
test_that 'a short secret is refused' ends 1 'at least 32 bytes' \
    "$freshet" token --key "$page.none" --read x --key /dev/null
test_that 'a topic that cannot be is refused' ends 1 'topic' token --read "$(printf 'a\tb')"
test_that 'claims must be an object' ends 1 'not a JSON object' token --claims '[1]'
test_that 'and JSON to the letter' ends 1 'not a JSON object' token --claims "{'a':1}"
test_that 'claims are kept digit by digit' looks_like_a_token --claims '{"id":1732792500123456789,"caf\u00e9":"é"}'
test_that 'as the token shows' ends 0 '"id":1732792500123456789' "$freshet" token --inspect "$(cat "$dir/token")"
for claims in '{"id":18446744073709551617}' '{"a\u0000b":1}' '{"a":"\ud800"}' '{"n":1E400}'; do
    test_that "a token says it as it is written: $claims" looks_like_a_token --claims "$claims"
    test_that 'to the letter' sh -c 'payload=$(cut -d. -f2 "$1" | tr -- -_ +/)
        case $(printf "%s==" "$payload" | base64 -d 2>/dev/null) in "${2%\}}",*) ;; *) exit 1 ;; esac' sh "$dir/token" "$claims"
done
test_that 'a subject is text' ends 1 'subject is not' token --subject "$(printf '\377')"
test_that 'a token needs a key' ends 64 'key FILE or' "$freshet" token --read x

echo '# epoch'
epoch=$(sql 'SELECT epoch FROM feed')
test_that 'epoch prints it' ends 0 "^$epoch\$" "$freshet" epoch --db "$db"
test_that 'epoch --new prints another one' ends 0 '^[0-9a-z]\{4\}$' "$freshet" epoch --db "$db" --new
new=$(cat "$dir/out")
test_that 'which is not the old one' [ "$new" != "$epoch" ]
test_that 'and the log has it' [ "$(sql 'SELECT epoch FROM feed')" = "$new" ]
test_that 'and its epoch is a sound one' ends 1 "^ok *epoch *$new" "$freshet" check --db "$db"
test_that 'there is no epoch without a database' ends 1 'no such file' "$freshet" epoch --new --db "$dir/none.db"

echo '# usage'
test_that 'no subcommand' ends 64 'Subcommands' "$freshet"
test_that 'an unknown subcommand' ends 64 'frobnicate' "$freshet" frobnicate
test_that 'an unknown option' ends 64 'nonsense' "$freshet" status --db "$db" --nonsense
test_that 'a missing --db' ends 64 'db FILE is missing' "$freshet" status
test_that 'an argument too many' ends 64 'one argument too many' "$freshet" status --db "$db" more
test_that 'prune wants to know how far' ends 64 'give one of' "$freshet" prune --db "$db"
test_that 'prune wants to know it once' ends 64 'give one of' \
    "$freshet" prune --db "$db" --keep-rows 1 --through 3
test_that 'prune --keep-rows 0 is out of range' ends 64 'keep-rows' \
    "$freshet" prune --db "$db" --keep-rows 0
test_that 'help' ends 0 'prune *delete old events' "$freshet" --help
test_that 'help is a word too' ends 0 'prune *delete old events' "$freshet" help
test_that 'help for a subcommand' ends 0 'Usage: freshet prune' "$freshet" help prune
test_that 'help for none' ends 64 'frobnicate' "$freshet" help frobnicate
test_that 'options may stand behind arguments' ends 64 'not both' \
    "$freshet" doctor http://127.0.0.1/events --db x --publish-to http://127.0.0.1/events
test_that 'but not behind --' ends 64 'one URL is enough' "$freshet" doctor http://127.0.0.1/ -- --json
test_that 'an option of one letter is named' ends 64 '^freshet publish: -7 is not an option' \
    "$freshet" publish --db "$db" --topic a -705
test_that 'version' ends 0 '^freshet [0-9]' "$freshet" --version
test_that 'output that cannot be written is a failure' ends 1 'standard output' \
    to_full_disk "$freshet" --help

# A writer that does not let go: the shell holds its transaction until its input ends.
mkfifo "$dir/hold"
sqlite3 -batch "$db" <"$dir/hold" >"$dir/held" 2>&1 &
holder=$!
exec 3>"$dir/hold"
echo "BEGIN IMMEDIATE; SELECT 'locked';" >&3
deadline=$(($(date +%s) + $(scaled 10)))
until grep -q locked "$dir/held" || [ "$(date +%s)" -gt "$deadline" ]; do
    sleep 0.05
done
test_that 'another writer in the way: try again later' ends 75 'try again' \
    "$freshet" prune --db "$db" --keep-rows 1
exec 3>&-
wait "$holder"

echo '# the manual page'
for name in $("$freshet" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    "$freshet" "$name" --help >"$dir/help"
    # The subcommand's part of the page, and the part for all of them.
    awk -v name="$name" '/^\.It Cm/ { mine = $3 == name } /^\.Sh/ { mine = 0 }
        /^The subcommands/ { common = 0 } /^Every subcommand/ { common = 1 }
        (mine || common) && /^\.It Fl/ { sub(/^-/, "", $3); print $3 }' "$page" | sort >"$dir/page"
    sed -n 's/^  --\([a-z-]*\).*/\1/p' "$dir/help" | sort >"$dir/options"
    test_that "the page and $name --help name the same options" diff "$dir/page" "$dir/options"
done
exit "$status"
