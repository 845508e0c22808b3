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
exit "$status"
