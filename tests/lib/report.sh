# For the lint scripts: to be read with `.` in the directory of the sources. Ends with `exit "$status"`.
# shellcheck shell=sh disable=SC2034
status=0

# report NAME FOUND: one test that holds when nothing was found.
report() {
    if [ -z "$2" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        printf '%s\n' "$2" | sed 's/^/# /'
        status=1
    fi
}
