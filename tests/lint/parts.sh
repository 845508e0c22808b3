#!/bin/sh
# Each part of ./check installs what it needs, and nothing that only others need. TAP.
set -eu
cd "${top_srcdir:-.}"
. tests/lib/report.sh

# unneeded PARTS PATTERN: what is on their list and should not be.
unneeded() {
    # shellcheck disable=SC2086
    listed=$(./check --packages $1 2>&1) || echo "no list: $listed"
    printf '%s\n' "$listed" | grep -E "^($2)" || :
}

# absent PARTS PACKAGE…: what should be on their list and is not.
absent() {
    # shellcheck disable=SC2086
    listed=$(./check --packages $1)
    shift
    for package in "$@"; do
        printf '%s\n' "$listed" | grep -qx "$package" || echo "$package"
    done
}

report 'unit tests need neither a browser nor servers nor another compiler' \
    "$(unneeded 'gcc unit' 'chromium|firefox|clang|nginx|lighttpd|nodejs|npm|valgrind|cppcheck|mandoc')"
report 'tests through web servers need neither a browser nor another compiler' \
    "$(unneeded 'gcc unit e2e faults hostile' 'chromium|firefox|clang|valgrind|cppcheck|mandoc')"
report 'tests in a browser need one' "$(absent browser chromium nginx nodejs libfcgi-dev)"
report 'a part that there is not is refused' "$(! ./check --packages unti 2>/dev/null || echo accepted)"
report 'all parts know what they need' "$(./check --packages >/dev/null 2>&1 || ./check --packages 2>&1)"
exit "$status"
