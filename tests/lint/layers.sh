#!/bin/sh
# Dependencies run downward only, and each external library is known in one place (see CONTRIBUTING.md). TAP.
set -eu
cd "${top_srcdir:-.}"
. tests/lib/report.sh

# layer DIRECTORY ALLOWED [HEADER]: its files include only from the allowed directories, and that header.
layer() {
    report "$1/ includes only from: $2" "$(grep -nE '^ *# *include +"[a-z_]+/' "$1"/*.[ch] 2>/dev/null |
        grep -vE "include +\"(($2)/|${3-$1/}\")" || :)"
}

# only HEADER FILES: nothing outside of the files (a pattern) includes the header.
only() {
    report "<$1> is included only in $2" "$(grep -rnE --include='*.[ch]' "^ *# *include +[<\"]$1[>\"]" \
        base stream http sql fcgi ingest admin | grep -vE "^($2)" || :)"
}

layer base 'base'
layer stream 'base|stream'
layer http 'base|stream|http'
layer sql 'base|stream|sql'
layer fcgi 'base|stream|http|sql|fcgi'
layer ingest 'base|stream|sql|ingest'
layer admin 'base|stream|sql|admin' 'ingest/bookmark\.h'

only 'sqlite3\.h' 'sql/'
only 'fcgiapp\.h' 'fcgi/request\.c:'
only 'fcgi_stdio\.h' 'no file'
only 'openssl/[a-z0-9_]*\.h' 'base/jws_crypto\.c:'
only 'uv\.h' 'fcgi/loop\.c:'
only 'curl/curl\.h' 'admin/doctor_http\.c:'

# Files that need each other can only be read together. A source and its headers (NAME.h, NAME_internal.h) are
# one; tsort(1) finds loops.
report 'no file needs a file that needs it' "$(grep -oE --include='*.[ch]' -r '^ *# *include +"[a-z0-9_/]+\.h' \
    base stream http sql fcgi ingest admin bench | sed -E 's/\.[ch]: *# *include +"/ /; s/\.h$//; s/_internal//g' |
    tsort 2>&1 >/dev/null || :)"

# The domain and the meaning of requests are pure: they neither call the system nor read a clock; time is an
# argument. What they may include of the system's headers only declares lists, vectors and formatting into memory.
for pure in stream http; do
    report "$pure/ makes no system calls" "$(grep -nE \
        '^ *# *include +<(unistd|fcntl|time|poll|signal|pthread|errno|uv|sys/.*|arpa/.*|netinet/.*)\.h>' \
        "$pure"/*.[ch] | grep -vE '<sys/(queue|uio)\.h>' || :
        grep -nE '(^|[^a-z_])(f?printf|puts|fopen|perror|readv|writev)\(' "$pure"/*.c || :)"
done
# All allocation goes through one file, so that a test can make the n-th one fail.
report 'memory comes from base/mem.c only' "$(grep -rnE --include='*.c' \
    '(^|[^_a-z])(malloc|calloc|realloc|reallocarray|strdup|strndup)\(' base stream http sql fcgi ingest admin |
    grep -v '^base/mem\.c:' || :)"
exit "$status"
