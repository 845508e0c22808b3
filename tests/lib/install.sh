#!/bin/sh
# Installs Debian packages, as root, without starting or enabling the services that come with them: trying
# freshet must not leave a web server open to the whole network, neither now nor after the next boot.
#
# Usage: tests/lib/install.sh PACKAGE…
set -eu

say() {
    printf '%s\n' "$*" >&2
}

# The one of the machine stays, and is asked as always.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\n# Services are not started while freshet installs packages.\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

# Those that would listen.
enabled_services() {
    systemctl --root=/ --no-pager --no-legend --type=service --state=enabled list-unit-files 2>/dev/null |
        awk '$1 ~ /^(nginx|lighttpd|apache2|caddy|haproxy|nats-server|php.*-fpm)\.service$/ { print $1 }' | sort
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >&2
}

before=$(mktemp)
after=$(mktemp)
enabled_services >"$before"
apt update || say 'the lists of packages could not be renewed; those that are there must do'
apt -y --no-install-recommends install "$@"
enabled_services >"$after"
for service in $(comm -13 "$before" "$after"); do
    # --now, where the machine's own policy let it start.
    if [ -d /run/systemd/system ]; then
        systemctl --quiet disable --now "$service" >/dev/null 2>&1 || say "$service could not be disabled"
    else
        systemctl --quiet disable "$service" >/dev/null 2>&1 || say "$service could not be disabled"
    fi
    say "$service is installed, and neither runs nor is enabled: systemctl enable --now $service"
done
rm -f "$before" "$after"
