#!/bin/sh
# The manual pages are well-formed, and name every option that the programs know, and no other: the rows of
# the tables (*.def), --help and the pages are compared in both directions. So are counters and the
# reasons in the log. TAP.
#
# BUILD is the build directory, whose programs are asked for their --help.
set -eu
cd "${top_srcdir:-.}"
. tests/lib/report.sh

for page in doc/*.[1-8]; do
    report "$page is well-formed" "$(mandoc -Tlint -W warning "$page" 2>&1 || :)"
    # A macro takes quotes away from around its arguments: examples that have some stand between .Bd and .Ed.
    report "$page shows the quotes of its examples" "$(grep -nE '^\.D[l1] .*"' "$page" || :)"
done

# Every program has these three (base/option.h).
common='config
help
version'

rows() {
    { sed -nE 's/^ *OPTION\([A-Z]+, *[a-z0-9_]+, *"([a-z0-9-]+)".*/\1/p' "$1"; echo "$common"; } | sort -u
}
helped() {
    "$1" --help | grep -oE '^ +(-[a-zA-Z], )?--[a-z][a-z0-9-]*' | sed 's/.*--//' | sort -u
}
documented() {
    grep -oE '^\.It Fl (Fl |-)[a-z][a-z0-9-]*|^\.It Fl -[a-z][a-z0-9-]*' "$1" | sed -E 's/^\.It Fl (Fl |-)//' | sort -u
}

# differences NAME A B: what is in one list and not in the other.
differences() {
    a=$(mktemp)
    b=$(mktemp)
    printf '%s\n' "$2" >"$a"
    printf '%s\n' "$3" >"$b"
    report "$1" "$(diff "$a" "$b" | grep '^[<>]' || :)"
    rm -f "$a" "$b"
}

compare() {
    program=$1
    table=$2
    page=$3
    for file in "$table" "$page" "${BUILD:-.}/$program"; do
        if [ ! -e "$file" ]; then
            report "$program: $file is there" "$file is missing"
            return
        fi
    done
    differences "$program: $table and --help agree" "$(rows "$table")" "$(helped "${BUILD:-.}/$program")"
    differences "$program: $table and $page agree" "$(rows "$table")" "$(documented "$page")"
}

# The operator's tool has a table of subcommands, each with options of its own.
freshet=${BUILD:-.}/freshet
if [ -x "$freshet" ]; then
    commands=$(sed -nE 's/^COMMAND\(([a-z]+),.*/\1/p' admin/commands.def)
    differences 'freshet: admin/commands.def and --help agree' "$(printf '%s\n' "$commands" | sort)" \
        "$("$freshet" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort)"
    # shellcheck disable=SC2086
    report 'doc/freshet.1 has every subcommand' "$(for command in $commands; do
        grep -qE "^\.(It|Ss) .*\b$command\b" doc/freshet.1 || echo "$command"
    done)"
    # shellcheck disable=SC2086
    differences 'freshet: options of --help and doc/freshet.1 agree' \
        "$(for command in $commands; do
            "$freshet" "$command" --help | sed -nE 's/^ +(-[a-zA-Z], )?--([a-z][a-z-]*).*/\2/p'
        done | sort -u)" "$(documented doc/freshet.1)"
else
    report 'freshet is there' "$freshet is missing"
fi

# section PAGE NAME: the lines of one section.
section() {
    awk -v name="$2" '/^\.Sh / { inside = substr($0, 5) == name } inside' "$1"
}

compare freshet-fcgi fcgi/options.def doc/freshet-fcgi.8
compare freshet-ingest ingest/options.def doc/freshet-ingest.1
differences 'fcgi/counters.def and doc/freshet-fcgi.8 agree' \
    "$(sed -nE 's/^COUNTER\(([a-z_]+),.*/\1/p' fcgi/counters.def | sort)" \
    "$(section doc/freshet-fcgi.8 COUNTERS | sed -nE 's/^\.It Va //p' | sort)"
differences 'fcgi/reasons.def and doc/freshet-fcgi.8 agree' \
    "$(sed -nE 's/^REASON\([A-Z_]+, "([a-z-]+)"\).*/\1/p' fcgi/reasons.def | sort)" \
    "$(section doc/freshet-fcgi.8 LOG | sed -nE 's/^\.It Cm //p' | sort)"
exit "$status"
