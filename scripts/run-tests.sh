#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run-tests.sh PROGRAM... - run test programs, some at a time, and close with the line "N passed, N failed".
#
# A program is either a Check runner, whose "NN%: Checks: A, Failures: B, Errors: C" lines are summed, or counts as one
# test by its exit status. Output is shown only of what failed. Each program has a folder of its own for the servers
# that it starts; whatever it leaves running there is ended with it.
#
# JOBS: programs at a time (default: processors); TEST_TIMEOUT: seconds for one; KEEP=1 keeps the folders.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d /tmp/gfreplica-test-XXXXXX)
jobs=${JOBS:-$(nproc)}

end_servers() {
    local folder

    for folder in "$work"/*/; do
        if [[ -d $folder ]]; then GFREPLICA_RUN_DIR=$folder scripts/servers.sh destroy --all || true; fi
    done
    rm -rf "$work"
}

on_exit() {
    trap - EXIT INT TERM
    local pid

    for pid in $(jobs -pr); do kill -- "-$pid" 2>/dev/null || true; done
    if [[ -n ${KEEP-} ]]; then
        echo "kept: $work"
    else
        end_servers
    fi
}
trap on_exit EXIT
trap 'exit 130' INT TERM

# Unit tests under sanitizers are slower than Check's 4 seconds, tests with servers much more so; a test that needs
# another limit sets its own.
default_timeout() {
    case $1 in
        */unit/*) echo 60 ;;
        *) echo 300 ;;
    esac
}

# run PROGRAM N: writes N.out (what it printed), N.status and N.seconds
run() {
    local program=$1 base=$work/$2 start=$EPOCHREALTIME status=0
    local -a around=(timeout --kill-after=10 "${TEST_TIMEOUT:-1200}")

    # Some kernels' address randomisation is more than gcc's ThreadSanitizer can map.
    if [[ $program == */tsan/* ]]; then around+=(setarch -R); fi
    mkdir "$base"
    GFREPLICA_RUN_DIR=$base CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-$(default_timeout "$program")} \
        "${around[@]}" "$program" >"$base.out" 2>&1 </dev/null || status=$?
    echo $((${EPOCHREALTIME/[.,]/} - ${start/[.,]/})) >"$base.microseconds"
    if [[ -z ${KEEP-} ]]; then
        GFREPLICA_RUN_DIR=$base scripts/servers.sh destroy --all
        rm -rf "$base"
    fi
    echo "$status" >"$base.status" # last: tells that the rest is there
}

passed=0
failed=0

# report PROGRAM N: one line, and all that it said if it failed
report() {
    local program=${1#build/} base=$work/$2 status checks=0 bad=0 a b c verdict=ok seconds

    status=$(<"$base.status")
    while read -r a b c; do
        checks=$((checks + a))
        bad=$((bad + b + c))
    done < <(sed -nE 's/^[0-9]+%: Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+).*/\1 \2 \3/p' "$base.out")
    if ((checks == 0)); then checks=1; fi
    # Died without saying so (a crash of the runner, a leak found at its end, out of time).
    if ((status != 0 && bad == 0)); then bad=1; fi
    if ((bad > checks)); then checks=$bad; fi
    if ((bad > 0)); then verdict=FAIL; fi
    seconds=$(<"$base.microseconds")
    printf '%-4s %-44s %4d of %d, %d.%d s\n' "$verdict" "$program" $((checks - bad)) "$checks" \
        $((seconds / 1000000)) $((seconds / 100000 % 10))
    if ((bad > 0)); then # what failed first: whoever shows a part of this shows its beginning
        grep -E ':[FE]:' "$base.out" | sed 's/^/    ! /' || true
        sed 's/^/    | /' "$base.out"
        if ((status == 124 || status == 137)); then echo "    | out of time (TEST_TIMEOUT)"; fi
    fi
    passed=$((passed + checks - bad))
    failed=$((failed + bad))
}

set -m # a process group each, so that an interrupt can end all of it
number=0
reported=0
programs=("$@")

report_finished() {
    while ((reported < number)) && [[ -f $work/$reported.status ]]; do
        report "${programs[reported]}" "$reported"
        reported=$((reported + 1))
    done
}

for program in "${programs[@]}"; do
    while (($(jobs -pr | wc -l) >= jobs)); do
        wait -n || true
        report_finished
    done
    run "$program" "$number" &
    number=$((number + 1))
done
while ((reported < number)); do
    wait -n || true
    report_finished
    if (($(jobs -pr | wc -l) == 0 && reported < number)) && [[ ! -f $work/$reported.status ]]; then
        echo "run-tests: lost ${programs[reported]}" >&2
        failed=$((failed + 1))
        break
    fi
done

echo "$passed passed, $failed failed"
((failed == 0))
