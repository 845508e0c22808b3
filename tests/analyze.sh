#!/bin/sh
# Static analysis of what is installed: gcc -fanalyzer, clang-tidy (.clang-tidy) and cppcheck (tests/cppcheck.txt).
# TAP. `make analyze` calls it in a build directory.
#
# Usage: tests/analyze.sh [COMPILER-OPTION…]       WITH: the tools, if not "gcc tidy cppcheck"
#
# tidy-deep, by name only, is clang's analyzer of paths: several times as long as all others together.
set -eu
top_srcdir=${top_srcdir:-.}
build=$PWD # has config.h, and sources that are made
. "$top_srcdir/tests/lib/report.sh"

sources=$(cd "$top_srcdir" && find base stream http sql fcgi ingest admin -name '*.c' | sort)

# for_each COMMAND…: with each source in the place of FILE, on all processors; prints what failing ones said. One process
# each: of a second source, clang-tidy 14 no longer knows what va_start() does.
for_each() {
    # shellcheck disable=SC2016
    for file in $sources; do
        printf '%s\n' "$top_srcdir/$file"
    done | xargs -P "$(nproc)" -I FILE sh -c 'said=$("$@" 2>&1) || printf "%s\n" "$said"' sh "$@"
}

# Optimised, it sees more of what a function does. Its other warnings appear in the build.
with_gcc() {
    report 'gcc -fanalyzer finds nothing' "$(for_each gcc "$@" -O2 -fanalyzer -Werror -c -o /dev/null FILE)"
}

# with_tidy WHAT CHECKS COMPILER-OPTION…: those checks, in addition to or without what .clang-tidy says. clang's own warnings
# are for the build with clang.
with_tidy() {
    what=$1 checks=$2
    shift 2
    report "clang-tidy finds nothing: $what" "$(for_each clang-tidy --quiet --checks="$checks" FILE -- "$@" -w)"
}

# Of the system's headers it needs the lists: they declare members.
with_cppcheck() {
    queue=$(echo '#include <sys/queue.h>' | gcc -E - | sed -n 's|^# 1 "\(/.*/sys/queue.h\)".*|\1|p')
    # shellcheck disable=SC2086
    report 'cppcheck finds nothing' "$(cd "$top_srcdir" &&
        cppcheck --quiet -j "$(nproc)" --std=c11 --library=posix --enable=warning,performance,portability \
            --suppressions-list=tests/cppcheck.txt --template='{file}:{line}: {id}: {message}' \
            -D_GNU_SOURCE --include="$queue" -I . -I "$build" $sources 2>&1)"
}

for tool in ${WITH:-gcc tidy cppcheck}; do
    case $tool in
        gcc) with_gcc "$@" ;;
        tidy) with_tidy 'single functions' '-clang-analyzer-*' "$@" ;;
        tidy-deep) with_tidy 'paths' '-*,clang-analyzer-*,-clang-analyzer-security.insecureAPI.*' "$@" ;;
        cppcheck) with_cppcheck ;;
        *) report "there is a tool \"$tool\"" 'gcc, tidy, tidy-deep and cppcheck are known' ;;
    esac
done
exit "$status"
