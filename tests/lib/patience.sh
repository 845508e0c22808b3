# Deadlines for machines that are busy with something else: to be read with `.`.
# shellcheck shell=sh

# scaled SECONDS: a time that is enough on an idle machine, scaled to this one by the number of threads that want each
# of its processors, on the average of the last minute or at this moment. See scaled() in tests/e2e/kit/wait.mjs.
scaled() {
    awk -v seconds="$1" -v processors="$(nproc)" '{
        split($4, running, "/")
        slowness = ($1 > running[1] ? $1 : running[1]) / processors
        print int(seconds * (slowness < 1 ? 1 : slowness > 10 ? 10 : slowness))
    }' /proc/loadavg
}
