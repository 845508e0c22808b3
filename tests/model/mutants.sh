#!/bin/sh
# The test of the stream model: each patch in tests/model/mutants/ plants one bug in one file, which its
# first line names, in a copy of the sources; the model must find it. A mutant that survives means that the model is
# too weak: strengthen the model, not the mutant. TAP.
#
# Usage: tests/model/mutants.sh [NAME…]        in or with top_srcdir of the sources; CC, CFLAGS as usual
set -eu
cd "${top_srcdir:-.}"
root=$(pwd)
: "${CC:=gcc}" "${CFLAGS:=-O1}"
# shellcheck source=tests/lib/patience.sh
. tests/lib/patience.sh
seed=1
steps=100000 # each is found earlier: see the numbers that this prints
limit_s=$(scaled 60) # the model itself gives up on a loop that does not end; this is for what it cannot see

sources='base/base64.c base/buf.c base/err.c base/json.c base/json_string.c base/mem.c base/text.c fcgi/outlet.c
    fcgi/record.c stream/cursor.c stream/decimal.c stream/dialect.c stream/event.c
    stream/event_json.c stream/feed.c stream/hub.c stream/page.c stream/pattern.c stream/pointer.c
    stream/position.c stream/question.c stream/sse.c stream/subscriber.c stream/subscription.c stream/topic.c stream/where.c stream/window.c
    tests/model/model_client.c tests/model/model_stream.c tests/model/model_table.c'

# compile FILE, link: in the directory of one copy; the object lies beside the source.
compile() {
    # shellcheck disable=SC2086
    $CC -std=gnu11 -D_GNU_SOURCE -g $CFLAGS -I. -c "$1" -o "${1%.c}.o"
}
link() {
    # shellcheck disable=SC2046
    $CC -Wl,--wrap=writev -o model $(for file in $sources; do echo "${file%.c}.o"; done)
}

# one DIR NAME: plants the bug in a copy of DIR; prints its test.
one() {
    patch=$root/tests/model/mutants/$2.patch
    what="$2: $(head -n 1 "$patch")"
    cp -a "$1" "$1.$2"
    cd "$1.$2"
    code=0
    if ! patch -p1 -F0 -s <"$patch" >log 2>&1; then
        verdict="no longer applies: make the patch again for the present code"
    elif ! { compile "$(sed -n 's|^+++ b/||p' "$patch")" && link; } >log 2>&1; then
        verdict="no longer compiles: make the patch again for the present code"
    else
        timeout "$limit_s" ./model --seed "$seed" --steps "$steps" >/dev/null 2>log || code=$?
        case $code in
            0) verdict='NOT FOUND' ;;
            124) verdict="the model neither ended nor said anything in $limit_s s" ;;
            *) verdict= ;;
        esac
    fi
    if [ -n "$verdict" ]; then
        printf 'not ok - %s (%s)\n%s\n' "$what" "$verdict" "$(sed 's/^/# /' log)"
    else
        printf 'ok - %s\n# found: %s\n' "$what" "$(tail -n 1 log)"
    fi
    rm -rf "$1.$2"
}

case ${1-} in
    --compile) shift; cd "$1"; compile "$2"; exit ;;
    --one) shift; one "$@"; exit ;;
esac

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for part in base fcgi stream tests/model; do
    mkdir -p "$dir/clean/$part"
    cp "$part/"*.[ch] "$dir/clean/$part/"
done
# shellcheck disable=SC2086
printf '%s\n' $sources | xargs -P "$(nproc)" -n 1 "$root/tests/model/mutants.sh" --compile "$dir/clean"
(cd "$dir/clean" && link)
if "$dir/clean/model" --seed "$seed" --steps "$steps" >"$dir/log" 2>&1; then
    echo "ok - without a planted bug the model passes"
else
    echo "not ok - without a planted bug the model passes"
    sed 's/^/# /' "$dir/log"
fi | tee "$dir/out"

[ $# -gt 0 ] || set -- tests/model/mutants/*.patch
for name in "$@"; do
    basename "$name" .patch
done | xargs -P "$(nproc)" -n 1 "$root/tests/model/mutants.sh" --one "$dir/clean" | tee -a "$dir/out"
! grep -q '^not ok' "$dir/out"
