#!/bin/sh
# Runs fuzz targets that `make fuzz` has built: two at a time, a line for each when it is done.
#
# Usage: tests/fuzz/run.sh BUILD TARGET…
#
# BUILD has the programs fuzz-TARGET; found inputs go to BUILD/corpus/TARGET, inputs that fail to
# BUILD/crashes/TARGET, logs to BUILD/log. Of the environment:
#   FUZZ_SECONDS  how long each target runs (default 60)
#   FUZZ_RUNS     instead: how many inputs each target tries
#   FUZZ_SEED     a number, for a run that can be repeated; 0 (the default) is another one each time
# Exit status 1 when an input failed.
set -eu

top_srcdir=${top_srcdir:-.}
build=$1
shift
sources=$(cd "$top_srcdir" && pwd)/tests/fuzz
cd "$build"
mkdir -p log

# What was said last of this in the log; "-" when it was not said.
last() {
    found=$(grep -aoE "$1" "$2" | tail -n 1 | grep -oE '[0-9]+' | tail -n 1) || :
    printf '%s' "${found:--}"
}

# A run with a seed begins with the sources' corpus alone: what was found before would change it.
fuzz() {
    target=$1
    log=log/$target.log
    found=corpus/$target
    if [ "${FUZZ_SEED:-0}" -ne 0 ]; then
        found=corpus-of-seed/$target
        rm -rf "$found"
    fi
    mkdir -p "$found" "crashes/$target"
    touch "log/$target.began"
    set -- -seed="${FUZZ_SEED:-0}" -rss_limit_mb=1024 -artifact_prefix="crashes/$target/" -print_final_stats=1
    if [ -n "${FUZZ_RUNS:-}" ]; then
        set -- "$@" -runs="$FUZZ_RUNS"
    else
        set -- "$@" -max_total_time="${FUZZ_SECONDS:-60}"
    fi
    [ ! -f "$sources/dict/$target" ] || set -- "$@" -dict="$sources/dict/$target"
    for directory in "$sources/corpus/$target" "$sources/regressions/$target"; do
        [ ! -d "$directory" ] || set -- "$@" "$directory"
    done
    # The first directory gets what is found.
    result=ok
    "./fuzz-$target" "$found" "$@" >"$log" 2>&1 || result=FAILED
    printf '%-7s %-8s %9s runs, coverage %5s, features %6s, corpus %5d, failed inputs %d\n' "$result" "$target" \
        "$(last 'number_of_executed_units: +[0-9]+' "$log")" "$(last 'cov: [0-9]+' "$log")" \
        "$(last 'ft: [0-9]+' "$log")" "$(find "$found" "$sources/corpus/$target" -type f | wc -l)" \
        "$(find "crashes/$target" -type f -newer "log/$target.began" | wc -l)"
    if [ "$result" = FAILED ]; then
        grep -aE -A 3 'does not hold|^SUMMARY|ERROR: ' "$log" | head -n 12 | sed 's/^/        /'
        find "crashes/$target" -type f -newer "log/$target.began" |
            sed "s|^|        repeat: $(pwd)/fuzz-$target $(pwd)/|"
        echo "        log: $(pwd)/$log"
        echo "$target" >>failed
    fi
}

rm -f failed
running=0
for target; do
    fuzz "$target" &
    running=$((running + 1))
    # Two at a time, as many as the machines of most have to spare; a pair ends together.
    if [ $((running % 2)) -eq 0 ]; then
        wait
    fi
done
wait
[ ! -f failed ]
