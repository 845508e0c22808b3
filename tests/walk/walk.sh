#!/bin/sh
# Walks both ways of the README, ./demo and by hand, line for line as they are written, on a bare Debian with
# systemd, and then checks that they hold: the demo leaves nothing behind, another user writes, services are
# restarted, the database is away for longer than systemd's default patience. Needs root, mmdebstrap, systemd-nspawn.
#
# Usage: tests/walk/walk.sh DIRECTORY [RELEASE]     RELEASE: a code name; default: this machine's
#
# DIRECTORY keeps the bare Debian for the next time. Prints TAP.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/lib/common.sh
. "$root/tests/lib/common.sh"
# shellcheck source=tests/lib/mirror.sh
. "$root/tests/lib/mirror.sh"

dir=$1
# shellcheck disable=SC1091
release=${2:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
bare=$dir/$release.tar
machine=$dir/machine
mkdir -p "$dir"

# ---- a machine: a user who may become root, the sources, and nothing else -------------------------

[ -s "$bare" ] || {
    mirror_check "$release"
    mirror_options >"$dir/apt.conf"
    mirror_sources "$release" | mmdebstrap --mode=root --variant=minbase --aptopt="$dir/apt.conf" \
        --include=systemd-sysv,dbus,passwd,sudo,ca-certificates "$release" "$dir/new.tar" - >"$dir/make.log" 2>&1 ||
        { tail -n 20 "$dir/make.log" >&2; die 'no bare Debian could be made'; }
    mv "$dir/new.tar" "$bare"
}
rm -rf --one-file-system "$machine"
mkdir "$machine"
tar -xpf "$bare" -C "$machine"
echo walk >"$machine/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 walk\n' >"$machine/etc/hosts"
chroot "$machine" useradd --create-home --home-dir /srv/walker --shell /bin/bash walker
echo 'walker ALL=(ALL) NOPASSWD: ALL' >"$machine/etc/sudoers.d/walker"
printf 'APT::Get::Assume-Yes "true";\nAPT::Install-Recommends "false";\n' >"$machine/etc/apt/apt.conf.d/walk"
home=$machine/srv/walker
(snapshot "$dir/src" >/dev/null) || die 'no snapshot of the sources'
mkdir "$home/freshet"
(cd "$dir/src" && tar -cf - --null -T .list) | tar -xpf - -C "$home/freshet"

# ---- what the README says ---------------------------------------------------------------------------

# Its indented lines between "By hand" and the next paragraph.
awk '/^By hand, as a service/ { on = 1; next } on && /^[^ ]/ { exit } on' "$root/README.md" | sed 's/^    //' >"$home/steps"
[ "$(grep -c . "$home/steps")" -ge 10 ] || die 'the README has no such way'
# On the machine itself nobody can reach a mirror: what is installed there has been fetched before.
packages=$(sed -e :a -e '/\\$/N; s/\\\n//; ta' "$home/steps" | sed -n 's/^sudo apt-get install //p')
[ -n "$packages" ] || die 'the README installs no packages'

# What freshet(1) says under BACKUP: the first command copies, the block restores.
sed -n '/^\.Sh BACKUP/,/^\.Sh ENV/s/^\.Dl sqlite3 /sqlite3 /p' "$root/doc/freshet.1" >"$home/backup"
awk '/^To restore a copy/ { on = 1 } on && /^\.Ed/ { exit } on && copying; on && /^\.Bd/ { copying = 1 }' \
    "$root/doc/freshet.1" >"$home/restore"
# And what it says to do when clients complain.
sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/{/^systemctl\|--expect-down/p;}' "$root/doc/freshet.1" |
    sed 's|https://stream.example|http://localhost|' >"$home/down"
for block in backup:1 restore:8 down:3; do
    [ "$(grep -c . "$home/${block%:*}")" -ge "${block#*:}" ] || die "freshet(1) does not say what is wanted here: $block"
done

cat >"$home/demo" <<'DEMO'
. ../lib
is_up() {
    grep -q 'Ctrl-C ends it' /srv/walker/demo.log
}
an_event() {
    curl -sN --max-time 10 "$url/events?topic=host/*&last=1" | grep -qm1 '^data: '
}
none() {
    ! grep -l freshet-demo /proc/[0-9]*/cmdline
}
web_server_is_off() {
    ! systemctl is-enabled nginx && ! systemctl is-active nginx && ! curl -s http://localhost/
}
# script(1) is its terminal.
script -qfec ./demo /srv/walker/demo.log >/dev/null </dev/null &
terminal=$!
report './demo installs what is missing, and comes up' soon is_up
url=$(grep -om1 'http://127.0.0.1:[0-9]*' /srv/walker/demo.log)
report 'and an event comes through it' an_event
kill -KILL "$terminal"
report 'without its terminal nothing of it is left' soon none
report 'it has neither started nor enabled a web server' web_server_is_off
[ ! -e /usr/sbin/policy-rc.d ] || echo 'not ok - nor left a policy behind'
DEMO

cat >"$home/lib" <<'LIB'
# Until it holds, or six minutes have passed: installing and building take a while on a busy machine.
soon() {
    tries=3600
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
report() {
    name=$1
    shift
    if "$@" >../report 2>&1; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        sed 's/^/# /' ../report
    fi
}
LIB

cat >"$home/holds" <<'HOLDS'
db=/var/lib/freshet/events.db
. ../lib
comes() {
    timeout 20 curl -sN "http://localhost/events?since=earliest&topic=walk" | grep -qm1 "^data: $1\$"
}
insert() {
    sg freshet -c "umask 077; sqlite3 $db \"INSERT INTO events(topic, data) VALUES('walk', '$1')\""
}
modes() {
    sudo stat -c '%A %U %G' /var/lib/freshet "$db" >../modes
    cat ../modes
    printf 'drwxrws--- freshet freshet\n-rw-rw---- freshet freshet\n' | cmp - ../modes
}
restarted_often() {
    [ "$(systemctl show -P NRestarts freshet-fcgi.service)" -ge 7 ]
}
sudo usermod -aG freshet walker
report 'another user of the group writes, and it comes' insert one
report 'through nginx to a client' comes one
report 'the responder has left the directory to its group' modes
sudo systemctl restart freshet-fcgi.service
report 'it writes after a restart too' insert two
report 'and that comes' comes two
report 'freshet check finds nothing against it' sudo freshet check --db "$db"
sudo systemctl stop freshet-fcgi.service
sudo mv "$db" "$db.aside"
comes three &
report 'without its database the service is started again and again' soon restarted_often
sudo mv "$db.aside" "$db"
insert three
report 'and serves when the database is there again, also who has waited' wait $!
report 'a copy is made as freshet(1) says' sudo bash -ex ../backup
insert lost
epoch=$(sudo freshet epoch --db "$db")
report 'and restored as it says, step by step' sudo bash -ex ../restore
another_epoch() {
    [ "$(sudo freshet epoch --db "$db")" != "$epoch" ]
}
lost_is_gone() {
    timeout 20 curl -s -H 'Accept: application/json' "http://localhost/events?since=earliest&topic=walk" >../page
    grep -q '"three"' ../page && ! grep -q '"lost"' ../page
}
report 'which gives it another epoch' another_epoch
report 'what is in the copy is served, and no more' lost_is_gone
report 'the directory is its group'"'"'s again' modes
insert four
report 'another user writes, and it comes' comes four
report 'what clients are told while the responder is stopped' sudo bash -ex ../down
report 'then it serves again' comes four
report 'nothing else has failed' sh -c '! systemctl --failed --no-legend | grep .'
HOLDS

cat >"$home/walk" <<'WALK'
#!/bin/bash
exec >/srv/walker/log 2>&1
cd /srv/walker/freshet || exit 1
bash -u ../demo >../tap
if bash -ex ../steps; then echo 'ok - the README, line for line' >>../tap; else echo 'not ok - the README, line for line' >>../tap; fi
bash -u ../holds >>../tap
WALK
chmod 755 "$home/walk"
cat >"$machine/etc/systemd/system/walk.service" <<'UNIT'
[Unit]
After=multi-user.target nginx.service
[Service]
Type=oneshot
User=walker
ExecStart=/srv/walker/walk
ExecStopPost=+/bin/systemctl --no-block poweroff
TimeoutStartSec=1500
[Install]
WantedBy=default.target
UNIT
chroot "$machine" chown -R walker: /srv/walker
chroot "$machine" systemctl -q enable walk.service

# ---- the walk ---------------------------------------------------------------------------------------

inside() {
    systemd-nspawn --quiet --register=no --keep-unit --directory="$machine" "$@"
}
# shellcheck disable=SC2086
inside sh -c 'apt-get -qq update && apt-get -qq --download-only install "$@"' sh $BUILD_PACKAGES $packages >"$dir/packages.log" 2>&1 || {
    tail -n 20 "$dir/packages.log" >&2
    die 'the packages that the README names cannot be fetched'
}
# With a network of its own, so that nobody else is at its ports.
inside --private-network --boot </dev/null >"$dir/boot.log" 2>&1 || :
if [ -s "$home/tap" ]; then
    cat "$home/tap"
else
    echo 'not ok - the machine came up'
    sed 's/^/# /' "$dir/boot.log"
fi
! grep -q '^not ok' "$home/tap" || sed 's/^/# /' "$home/log"
grep -q '^ok - nothing else' "$home/tap" && ! grep -q '^not ok' "$home/tap"
