#!/bin/sh
# The systemd units are understood by systemd, and what they leave open stays small. TAP.
set -eu
cd "${top_srcdir:-.}"
. tests/lib/report.sh

EXPOSURE_MAX=10 # of 100; see systemd-analyze(1), security

# Where it is not installed, the program's path is no executable.
for unit in doc/systemd/*; do
    report "$unit is a unit" "$(systemd-analyze verify "$unit" 2>&1 | grep -v 'is not executable' || :)"
done
for unit in doc/systemd/*.service; do
    report "$unit leaves little open" "$(systemd-analyze security --offline=true \
        --threshold="$EXPOSURE_MAX" --no-pager "$unit" 2>&1 >/dev/null || echo "exposed above $EXPOSURE_MAX of 100")"
done
# systemd's own limits end a service and its socket for good after five quick failures.
for unit in doc/systemd/*; do
    report "$unit is started again however often it fails" "$(grep -qx 'StartLimitIntervalSec=0' "$unit" || echo 'no StartLimitIntervalSec=0')"
done
for unit in doc/systemd/*.service; do
    report "$unit waits before it is started again" "$(grep -qE '^RestartSec=[1-9]' "$unit" || echo 'no RestartSec=')"
    # systemd sets the directory's group and mode at each start: what freshet init --group does must be said here too.
    report "$unit leaves the directory to its group" "$(grep -qx 'StateDirectoryMode=2770' "$unit" && grep -q '^Group=' "$unit" ||
        echo 'no Group=, or no StateDirectoryMode=2770')"
done
exit "$status"
