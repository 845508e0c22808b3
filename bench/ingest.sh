#!/bin/sh
# ingest.sh [EVENTS [RUNS [BATCH]]]: freshet-ingest against a bare loop of prepared INSERTs, and its
# memory against the size of the input. Both write the same events of about 200 bytes with the same
# batches, synchronous=FULL and schema, into a fresh database, in alternating runs; the medians are
# compared. freshet-ingest is timed from start to exit, reading and parsing included.
# Run by `make bench-ingest`, in the build directory.
set -eu
events=${1:-300000}
runs=${2:-7}
batch=${3:-1000}
dir=$(mktemp -d "${TMPDIR:-/tmp}/bench_ingest.XXXXXX")
trap 'rm -rf "$dir"' EXIT

make_events() { # N
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < n; i++)
            printf "{\"topic\":\"wiki/%d\",\"type\":\"edit\",\"data\":{\"n\":%d,\"user\":\"user%d\"," \
                "\"title\":\"An article with a title of usual length, number %d\"," \
                "\"comment\":\"what was changed and why it was\"}}\n", i % 100, i, i % 1000, i
    }'
}
fresh() { rm -f "$dir"/db*; ./tests/unit/make_db "$dir/db"; }
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
now() { date +%s%N; }

make_events "$events" >"$dir/in"
echo "$events events, $(($(wc -c <"$dir/in") / events)) bytes a line, batches of $batch, $runs runs each"
for run in $(seq "$runs"); do
    fresh
    bare=$(./bench/bare_insert "$dir/db" "$dir/in" "$batch")
    fresh
    start=$(now)
    ./freshet-ingest --db "$dir/db" --batch-events "$batch" --quiet "$dir/in"
    ingest=$((events * 1000000 / (($(now) - start) / 1000)))
    echo "$bare" >>"$dir/bare"
    echo "$ingest" >>"$dir/ingest"
    echo "run $run: bare loop $bare/s, freshet-ingest $ingest/s"
done
awk -v b="$(median "$dir/bare")" -v i="$(median "$dir/ingest")" \
    'BEGIN { printf "median: bare loop %d/s, freshet-ingest %d/s, ratio %.2f\n", b, i, i / b }'

for n in 100000 1000000; do
    make_events $n >"$dir/in"
    fresh
    ./freshet-ingest --db "$dir/db" --quiet --rate 0 "$dir/in" &
    pid=$!
    peak=0
    while kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$kb" ]; do
        peak=$kb
        sleep 0.05
    done
    wait $pid
    echo "$n events: peak memory $peak KB"
done
