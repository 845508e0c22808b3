#!/bin/sh
# What every file of the sources keeps to: layout, a header that says what the file is for, no places of
# one machine, no open ends without an issue. TAP.
set -eu
cd "${top_srcdir:-.}"
. tests/lib/report.sh

# Our own texts: what git would know, or a tarball holds.
files() {
    find . \( -name .git -o -name node_modules -o -path ./tests/fuzz/corpus -o -path ./tests/fuzz/regressions \
        -o -path ./build -o -path ./build-aux -o -name '*.cache' \) \
        -prune -o -type f "$@" -print | sort
}

c_files=$(files -name '*.[ch]' ! -name 'config.h')
# shellcheck disable=SC2086
report 'C is formatted (make format)' "$(clang-format --dry-run -Werror $c_files 2>&1 | sed -nE 's|^(.*):[0-9]+:[0-9]+: error: .*|\1|p' | sort -u)"

scripts=$(files ! -name '*.*' -o -name '*.sh' -type f -o -name '*.cgi' -type f | while read -r file; do
    case $file in ./configure | ./config.*) continue ;; esac
    case $(head -n 1 "$file") in '#!/bin/sh'*) echo "$file" ;; esac
done)
# shellcheck disable=SC2086
report 'shell scripts pass shellcheck' "$(shellcheck -x $scripts tests/lib/common.sh 2>&1 || :)"

texts=$(files ! -name '*.ndjson' ! -name 'package-lock.json' ! -name '*.png' ! -name '*.woff2' \
    ! -name 'configure*' ! -name 'aclocal.m4' ! -name 'Makefile.in' ! -name Makefile ! -name 'config.*' \
    ! -name '*.o' ! -name '*.a' ! -name '*.log' ! -name '*.trs' ! -path './tests/lint/sources.sh' |
    xargs grep -Il .)
# shellcheck disable=SC2086
report 'no places of one machine' "$(grep -nE '/(work|root|home)/[a-z]|/tmp/[a-z]' $texts || :)"
# shellcheck disable=SC2086
report 'an open end names its issue' "$(grep -nE '\b(TODO|FIXME|XXX)\b' $texts | grep -vE '#[0-9]+' || :)"
# shellcheck disable=SC2086
report 'no marks of a merge' "$(grep -nE '^(<{7}|>{7}) ' $texts || :)"
# shellcheck disable=SC2086
report 'no space at the end of a line' "$(grep -nE '[[:space:]]+$' $texts | grep -v '\.\(md\|patch\):' || :)"

report 'every C file of a library has a header that says what it is' "$(
    for header in base/*.h stream/*.h http/*.h sql/*.h fcgi/*.h ingest/*.h admin/*.h; do
        [ -e "$header" ] || continue
        name=$(basename "$header" .h)
        head -n 1 "$header" | grep -q "^/\* $name: " || echo "$header"
    done)"
# shellcheck disable=SC2086
report 'every script and test begins with what it is for' "$(
    for file in $scripts $(files -name '*.mjs'); do
        head -n 2 "$file" | grep -qE '^(# |// |/\*|/\*\*| \*)' || echo "$file"
    done)"
exit "$status"
