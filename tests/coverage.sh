#!/bin/sh
# Which lines and branches the tests reach: `make coverage` in a build that was configured with
# --enable-coverage. Runs every suite that needs no browser, from counters of zero, then prints figures for
# each directory and for the files of which less than 90 % of the lines were reached.
#
# Usage: tests/coverage.sh [SUITE…]       SUITE: unit e2e faults hostile crash, or "report" for the
#        figures of what has run so far; without one, all suites and the report
#
# Processes write their counters when they exit: what a test kills with -9 is not counted, what ends
# with SIGTERM is. With the environment variable DETAILS=1 every line that was not reached is named.
set -eu

: "${top_srcdir:?the top of the sources}" "${BUILD:?the build directory}"
FRESHET_BUILD=$(cd "$BUILD" && pwd)
root=$(cd "$top_srcdir" && pwd)
export FRESHET_BUILD
failed=
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

[ -n "$(find "$FRESHET_BUILD/fcgi" -name '*.gcno' 2>/dev/null | head -n 1)" ] || {
    echo "$0: $FRESHET_BUILD has no counters: configure with --enable-coverage, and build" >&2
    exit 1
}

# suite NAME COMMAND…: a suite that fails does not keep the others from being counted.
suite() {
    name=$1
    shift
    began=$(date +%s)
    if "$@" >"$FRESHET_BUILD/coverage-$name.log" 2>&1; then
        printf 'ok      %-8s %4d s\n' "$name" $(($(date +%s) - began))
    else
        printf 'FAILED  %-8s %4d s  see %s\n' "$name" $(($(date +%s) - began)) \
            "$FRESHET_BUILD/coverage-$name.log"
        failed="$failed $name"
    fi
}

nodetests() {
    if ! node -e 'new CustomEvent("x")' 2>/dev/null; then
        NODE_OPTIONS=--experimental-global-customevent
        export NODE_OPTIONS
    fi
    timeout 600 node --test "$@"
}

run() {
    case $1 in
        unit) suite unit make -C "$FRESHET_BUILD" --no-print-directory -j"$(nproc)" check VERBOSE=1 ;;
        e2e)
            set --
            for file in e2e/*.test.mjs; do
                [ "$file" = e2e/browser.test.mjs ] || set -- "$@" "$file"
            done
            suite e2e nodetests --test-concurrency=2 "$@"
            ;;
        faults) suite faults nodetests faults/*.test.mjs ;;
        hostile) suite hostile nodetests --test-concurrency=2 hostile/*.test.mjs ;;
        crash) suite crash nodetests --test-concurrency=1 crash/*.test.mjs ;;
        report) report ;;
        *)
            echo "$0: unknown suite \"$1\"" >&2
            exit 64
            ;;
    esac
}

# Assertions hold programming errors: a test that takes their other branch would be one.
report() {
    cd "$FRESHET_BUILD" # not -j: two gcovs would write the same files here
    gcovr --root "$root" --object-directory . \
        --filter "$root/(base|stream|http|sql|fcgi|ingest|admin)/" \
        --exclude-branches-by-pattern '.*\bassert\(.*' \
        --csv "$FRESHET_BUILD/coverage.csv" --txt "$FRESHET_BUILD/coverage.txt" \
        base stream http sql fcgi ingest admin
    awk -F, '
        function rate(hit, all) { return all ? sprintf("%5.1f %%", 100 * hit / all) : "    -  " }
        NR == 1 { next }
        {
            split($1, path, "/")
            order = "base stream http sql fcgi ingest admin"
            lines[path[1]] += $2; reached[path[1]] += $3
            branches[path[1]] += $5; taken[path[1]] += $6
            if ($3 < 0.9 * $2)
                low[++n] = sprintf("%-28s %s of %d lines", $1, rate($3, $2), $2)
        }
        END {
            printf "%-10s %8s %9s %9s %9s\n", "directory", "lines", "reached", "branches", "taken"
            count = split(order, dirs, " ")
            for (i = 1; i <= count; i++) {
                d = dirs[i]
                printf "%-10s %8d %9s %9d %9s\n", d, lines[d], rate(reached[d], lines[d]), \
                    branches[d], rate(taken[d], branches[d])
                if (!lines[d])
                    exit 1
            }
            if (n)
                print "\nless than 90 % of the lines:"
            for (i = 1; i <= n; i++)
                print low[i]
        }' "$FRESHET_BUILD/coverage.csv"
    [ -z "${DETAILS-}" ] || cat "$FRESHET_BUILD/coverage.txt"
}

cd "$root/tests"
if [ $# -eq 0 ]; then
    [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error
    find "$FRESHET_BUILD" -name '*.gcda' -exec rm -f {} +
    set -- unit e2e faults hostile crash report
fi
for each in "$@"; do
    run "$each"
done
[ -z "$failed" ]
