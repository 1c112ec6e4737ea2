#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh [quick|full|long|ID...] - check the models with spin, as runs.txt lists them (README.md says what they mean).
#
#   quick   one removed switch for each rule and a few small runs with all rules kept; the default, part of `make test`
#   full    every removed switch, and all kept-rules runs of up to about ten million states (`make model`)
#   long    everything; hours on a busy machine
#   ID...   the runs whose id matches one of these patterns, e.g. 'R.*' or K07
#
# A run is as expected when a kept-rules model was searched to its end without violation or deadlock, or when a removed
# rule gave its counterexample. Anything else, an incomplete search included, fails. Results go to build/model:
# results.tsv and counterexamples.txt (shortest ones, since those runs search breadth first).
#
# JOBS: runs at a time (default: processors, at most 2); MEMORY: MiB of all of them together (6000); LIMIT: seconds of
# one run (600).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
out=$here/../../build/model
cores=$(nproc)
jobs=${JOBS:-$((cores < 2 ? cores : 2))}
memory=$((${MEMORY:-6000} / jobs))
limit=${LIMIT:-600}
work=$(mktemp -d /tmp/gfreplica-model-XXXXXX)
header='id\trule\tas expected\tresult\tsteps\tstates\tMiB\tseconds\twhat\tmodel and defines'

on_exit() {
    trap - EXIT INT TERM
    local pid

    for pid in $(jobs -pr); do kill -- "-$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap on_exit EXIT
trap 'exit 130' INT TERM

for tool in spin gcc; do
    if ! command -v "$tool" >/dev/null; then
        echo "docs/model/run.sh: $tool is missing (scripts/install-deps.sh installs it)" >&2
        exit 2
    fi
done

# How each kind of search is compiled and run: breadth first for the shortest way to a violation, depth first where the
# whole space has to be seen, and depth first with the promise "a calm copy ends" (live). Partial order reduction is
# off: one process, nothing to reduce.
compile_flags() {
    case $1 in
        bfs) echo -DSAFETY -DBFS ;;
        dfs) echo -DSAFETY -DNOFAIR ;;
        live) echo -DNOFAIR ;;
    esac
}

run_flags() {
    case $1 in
        bfs) echo -w22 ;;
        dfs) echo -m8000000 -w24 ;;
        live) echo -a -m8000000 -w25 ;;
    esac
}

# What a failed assertion of the model says, in words.
violation() {
    case $1 in
        *'invalid end state'*) echo 'the copy cannot go on' ;;
        *'tgt[k]==s[((mpos'* | *'tgt[k]==0'*) echo 'the target is not the source at the marker' ;;
        *'tgt[k]==s[((n'*) echo 'the final state differs' ;;
        *'y>mpos'* | *'opos>mpos'*) echo 'a transaction is applied twice' ;;
        *'violated 0'* | *'(0)'*) echo 'REPLACE deletes another row' ;;
        *) echo "$1" ;;
    esac
}

# trace ID RULE WHAT MODEL DEFINE...: the counterexample in the words of the model
trace() {
    local id=$1 rule=$2 what=$3 model=$4
    shift 4

    spin "$@" -t "$model" >trail.log 2>&1 || true
    {
        echo "== $id  without $rule  ($model $*)"
        grep 'ACT ' trail.log | sed -E 's/^ *ACT /   /'
        echo "   -> $what"
        echo
    } >"$work/$id.trace"
    grep -c 'ACT ' trail.log
}

# check ID MODEL RULE WANT SEARCH DEFINE...: leaves ID.row, and ID.trace of a violation
check() {
    local id=$1 model=$2 rule=$3 want=$4 search=$5 result=broken what='' steps='' error='' status=0 verdict=yes
    local states='' mib='' seconds=''
    local -a compile run
    shift 5

    read -ra compile <<<"$(compile_flags "$search")"
    read -ra run <<<"$(run_flags "$search")"
    mkdir "$work/$id"
    cp ./*.pml "$work/$id"
    cd "$work/$id"
    if spin "$@" -a "$model" >build.log 2>&1 &&
        gcc -O2 -w "${compile[@]}" -DNOREDUCE -DMEMLIM="$memory" -o pan pan.c >>build.log 2>&1; then
        timeout "$limit" ./pan "${run[@]}" >pan.log 2>&1 || status=$?
        error=$(grep -m1 '^pan:1:' pan.log | sed -E 's/^pan:1: //; s/ \(at depth.*//' || true)
        states=$(awk '/states, stored/ { print $1; exit }' pan.log)
        mib=$(awk '/total actual memory/ { printf "%d", $1; exit }' pan.log)
        seconds=$(sed -nE 's/.*elapsed time ([0-9.e+]+).*/\1/p' pan.log)
        if [[ -n $error ]]; then
            result=bad
            what=$(violation "$error")
            steps=$(trace "$id" "$rule" "$what" "$model" "$@")
        elif ((status != 0)) || grep -qE 'out of memory|memory limit|max search depth|MEMLIM' pan.log; then
            result=incomplete
        else
            result=ok
        fi
    else
        cat build.log >&2
    fi
    if [[ $result != "$want" ]]; then verdict=NO; fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$id" "$rule" "$verdict" "$result" "$steps" "$states" "$mib" \
        "$seconds" "$what" "$model $*" | tee "$work/$id.part"
    mv "$work/$id.part" "$work/$id.row"
    cd "$here"
    rm -rf "${work:?}/$id"
}

# wanted ID SET PATTERN...
wanted() {
    local id=$1 set=$2 pattern
    shift 2

    for pattern in "$@"; do
        case $pattern in
            quick) [[ $set == quick ]] && return 0 ;;
            full) [[ $set != long ]] && return 0 ;;
            long) return 0 ;;
            *) [[ $id =~ ^($pattern)$ ]] && return 0 ;;
        esac
    done
    return 1
}

set -m # a process group each, so that an interrupt can end all of it
if (($# == 0)); then set -- quick; fi
printf '%b\n' "$header"
ids=()
while IFS='|' read -r id model rule want search set defines; do
    read -r id <<<"$id"
    case $id in '' | \#*) continue ;; esac
    read -r model <<<"$model"
    read -r rule <<<"$rule"
    read -r want <<<"$want"
    read -r search <<<"$search"
    read -r set <<<"$set"
    read -ra define <<<"$defines"
    if ! wanted "$id" "$set" "$@"; then continue; fi
    ids+=("$id")
    while (($(jobs -pr | wc -l) >= jobs)); do wait -n || true; done
    check "$id" "$model" "$rule" "$want" "$search" "${define[@]}" &
done <runs.txt
wait

mkdir -p "$out"
printf '%b\n' "$header" >"$out/results.tsv"
: >"$out/counterexamples.txt"
bad=0
for id in "${ids[@]}"; do
    if [[ ! -f $work/$id.row ]]; then
        echo "run.sh: $id left no result" >&2
        bad=$((bad + 1))
        continue
    fi
    cat "$work/$id.row" >>"$out/results.tsv"
    if [[ -f $work/$id.trace ]]; then cat "$work/$id.trace" >>"$out/counterexamples.txt"; fi
    if [[ $(cut -f3 "$work/$id.row") != yes ]]; then bad=$((bad + 1)); fi
done
echo "model: ${#ids[@]} runs, $bad not as expected"
((bad == 0 && ${#ids[@]} > 0))
