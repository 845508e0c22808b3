# Shared by ./check and ./demo: to be read with `.`, with `root` set to the top of the sources.
# Installs what is missing (Debian) and builds outside the source tree.
# shellcheck shell=sh disable=SC2034,SC2154

# The servers live in sbin, which a user's PATH often lacks.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$0: $*"
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# install_missing PACKAGE[=COMMAND]…: does nothing, and asks for no rights, when all of them are there.
# Where a COMMAND is named, its being found is enough, wherever it came from. No service is started.
install_missing() {
    command -v dpkg-query >/dev/null || { say "not Debian: taking what is installed as it is"; return; }
    missing=
    for wanted in "$@"; do
        case $wanted in
            *=*) ! command -v "${wanted#*=}" >/dev/null || continue ;;
        esac
        case $(dpkg-query -W -f '${Status}' "${wanted%=*}" 2>/dev/null) in
            *' installed') ;;
            *) missing="$missing ${wanted%=*}" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    say "installing:$missing"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        die "these packages are missing, and there is no sudo to become root with. As root: $root/tests/lib/install.sh$missing"
    # shellcheck disable=SC2086
    as_root "$root/tests/lib/install.sh" $missing ||
        die "these packages could not be installed. As root: $root/tests/lib/install.sh$missing"
}

BUILD_PACKAGES='gcc libc6-dev make autoconf automake pkg-config libfcgi-dev libjson-c-dev
    libsqlite3-dev libuv1-dev libinih-dev libssl-dev uthash-dev libseccomp-dev
    libcurl4-openssl-dev'
RUN_PACKAGES='nginx=nginx lighttpd=lighttpd sqlite3 curl'

# sources_list FILE: the names of all source files, each with a NUL behind it.
sources_list() {
    if [ -e "$root/.git" ] && command -v git >/dev/null; then
        (cd "$root" && git -c safe.directory='*' ls-files -z --cached --others --exclude-standard) |
            (cd "$root" && while_exists) >"$1"
    else
        (cd "$root" && find . \( -name node_modules -o -path ./build \) -prune -o -type f -print0) >"$1"
    fi
}

# snapshot DIR: brings the sources to DIR, so that a build there is neither disturbed by one in the
# source tree nor leaves anything in it. Time stamps are kept: what did not change is not rebuilt.
snapshot() {
    mkdir -p "$1"
    sources_list "$1/.list"
    # What was removed in the sources must not go on being built here.
    find "$1" -mindepth 1 -maxdepth 1 ! -name .list ! -name autom4te.cache -exec rm -rf {} +
    (cd "$root" && tar -cf - --null -T "$1/.list") | (cd "$1" && tar -xpf -)
    (cd "$1" && ./autogen.sh) >"$1/autogen.log" 2>&1 || { tail -n 30 "$1/autogen.log" >&2; return 1; }
}

# Passes on, of NUL-separated file names, those that exist: the index may name deleted ones.
while_exists() {
    # shellcheck disable=SC2016
    xargs -0 -r sh -c 'for file; do [ ! -f "$file" ] || printf "%s\0" "$file"; done' sh
}

# build SOURCE DIR [CONFIGURE-ARGUMENT…]: configures once per set of arguments, and builds.
build() {
    build_source=$1
    build_dir=$2
    shift 2
    mkdir -p "$build_dir"
    if [ ! -e "$build_dir/config.status" ] ||
        [ "$(cat "$build_dir/.arguments" 2>/dev/null)" != "$*" ]; then
        (cd "$build_dir" && "$build_source/configure" "$@") || return 1
        printf '%s\n' "$*" >"$build_dir/.arguments"
    fi
    make -C "$build_dir" -j"$(nproc)" --no-print-directory
}

# free_port FIRST: the first TCP port from FIRST on where nothing answers on loopback.
free_port() {
    port=$1
    while code=0; curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$port/" || code=$?; [ "$code" -ne 7 ]; do
        port=$((port + 1))
        [ "$port" -lt $(($1 + 100)) ] || die "no free port from $1 on"
    done
    printf '%s\n' "$port"
}
