# For tests of programs in sh: to be read with `.`, with `dir` set to a temporary directory. Ends with
# `exit "$status"`.
# shellcheck shell=sh disable=SC2034,SC2154
status=0
# shellcheck source=tests/lib/patience.sh
. "${top_srcdir:-.}/tests/lib/patience.sh"

# test_that NAME COMMAND…: holds when the command succeeds.
test_that() {
    name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        sed 's/^/# /' "$dir/log" "$dir/out" "$dir/err"
        status=1
    fi
}

# ends CODE PATTERN COMMAND…: exit status and a pattern in its output or its complaint.
ends() {
    want=$1
    pattern=$2
    shift 2
    code=0
    "$@" >"$dir/out" 2>"$dir/err" </dev/null || code=$?
    [ "$code" -eq "$want" ] || {
        echo "exit status $code instead of $want"
        return 1
    }
    cat "$dir/out" "$dir/err" | grep -q -e "$pattern" || {
        echo "no \"$pattern\" in the output"
        return 1
    }
}
