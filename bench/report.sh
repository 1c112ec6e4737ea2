#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# report.sh - docs/benchmarks.md and its picture from build/bench/results.tsv, medians of all runs that it holds.
#
# A way's speed is its ratio to the row's limit: the fastest of LOAD DATA LOCAL and 1,000-row INSERTs over 1, 2 and 4
# connections into empty tables, from ready files; where a row has none, to the first peer. Its frugality is the same of
# CPU seconds: of source, target and the way itself.
set -euo pipefail
export LC_ALL=C

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
results=${1:-build/bench/results.tsv}
page=docs/benchmarks.md
picture=docs/benchmarks.svg
bars=build/bench/bars.tsv

# family row way: medians of wall, all CPU, the way's CPU, KiB; then how many runs
medians() {
    sort -t$'\t' -k1,1 -k2,2 -k3,3 "$results" | awk -F'\t' '
        function median(list, n,    i, j, t, v) {
            for (i = 1; i <= n; i++) v[i] = list[i]
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
            return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
        }
        function flush() {
            if (n) printf "%s\t%.3f\t%.3f\t%.3f\t%d\t%d\n", key, median(a, n), median(b, n), median(c, n), median(d, n), n
            n = 0
        }
        { k = $1 "\t" $2 "\t" $3; if (k != key) { flush(); key = k } n++; a[n] = $4; b[n] = $5; c[n] = $6; d[n] = $7 }
        END { flush() }'
}

# The base of a row: the fastest limit, and the most frugal one; else the peer that does best.
tables() {
    medians | awk -F'\t' -v bars="$bars" '
        BEGIN { split("copy4 copy1 mixed many start index8 source linear-1000000 linear-10000000 backlog hot large delay", order, " ")
            title["copy4"] = "4 tables of sysbench rows"; title["copy1"] = "one table of sysbench rows"
            title["mixed"] = "mixed rows of about 1 KiB"; title["many"] = "tables of 50 rows"
            title["index8"] = "a table with 8 secondary indexes"
            title["backlog"] = "catching up with write-only transactions"
            title["hot"] = "the same, 90 % of them on 10 % of the rows"
            title["delay"] = "delay at 300 transactions a second"
            title["start"] = "from the command to the stage copying"
            title["source"] = "the source under sysbench read-write, 4 threads, meanwhile"
            title["large"] = "the same changes in one transaction and in small ones"
            title["linear-1000000"] = "one table of a million rows"
            title["linear-10000000"] = "one table of ten million rows"
            printf "" > bars }
        { id = $1 SUBSEP $2; n[id]++; way[id, n[id]] = $3; for (i = 4; i <= 8; i++) v[id, $3, i] = $i; families[$1] }
        function base(id, column,    i, w, best, limit) {
            for (i = 1; i <= n[id]; i++) if (way[id, i] ~ /^limit/) limit = 1
            for (i = 1; i <= n[id]; i++) {
                w = way[id, i]
                if (limit ? w !~ /^limit/ : w ~ /^gfreplica/) continue
                if (best == "" || v[id, w, column] < best) best = v[id, w, column]
            }
            return best
        }
        function delay_table(id,    i, w) {
            print "| way | p50 ms | p99 ms | max ms |\n|---|---|---|---|"
            for (i = 1; i <= n[id]; i++) {
                w = way[id, i]
                printf "| %s | %.1f | %.1f | %.1f |\n", w, v[id, w, 4], v[id, w, 5], v[id, w, 6]
            }
        }
        function start_table(id,    i) {
            print "| tables | seconds |\n|---|---|"
            for (i = 1; i <= n[id]; i++) printf "| %d | %.1f |\n", v[id, way[id, i], 5], v[id, way[id, i], 4]
        }
        function source_table(id,    i, w) {
            print "| beside | its transactions a second | of alone | its p95 ms |\n|---|---|---|---|"
            for (i = 1; i <= n[id]; i++) {
                w = way[id, i]
                printf "| %s | %.0f | %.2f | %.1f |\n", w, v[id, w, 4], v[id, w, 4] / v[id, "alone", 4], v[id, w, 5]
            }
        }
        function table(f, r, id,    i, w, wall, cpu) {
            wall = base(id, 4); cpu = base(id, 5)
            print "| way | seconds | speed | all CPU s | frugality | its own CPU s | MiB |\n|---|---|---|---|---|---|---|"
            for (i = 1; i <= n[id]; i++) {
                w = way[id, i]
                printf "| %s | %.1f | %.2f | %.1f | %.2f | %.2f | %d |\n", w, v[id, w, 4], wall / v[id, w, 4],
                    v[id, w, 5], cpu / v[id, w, 5], v[id, w, 6], v[id, w, 7] / 1024
                if (w !~ /^limit/)
                    printf "%s %s %s\t%.3f\t%.3f\n", f, r, w, wall / v[id, w, 4], cpu / v[id, w, 5] > bars
            }
        }
        END { for (f in families) for (o = 1; o in order; o++) {
                id = f SUBSEP order[o]
                if (!(id in n)) continue
                printf "\n### %s: %s (%d runs)\n\n", f, title[order[o]], v[id, way[id, 1], 8]
                if (order[o] == "delay") delay_table(id)
                else if (order[o] == "start") start_table(id)
                else if (order[o] == "source") source_table(id)
                else table(f, order[o], id)
        } }'
}

machine() {
    echo "- $(nproc) CPUs: $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo); $(awk '/MemTotal/ { printf "%d", $2 / 1048576 }' /proc/meminfo) GiB of memory; Linux $(uname -r | cut -d- -f1)"
    echo "- load average when this page was made: $(cut -d' ' -f1-3 /proc/loadavg)"
    echo "- source and target on it too, 512 MiB buffer pool each, binlog on, \`sync_binlog=1\`, \`innodb_flush_log_at_trx_commit=1\`"
    echo "- sizes: ${BENCH_SIZES:-as \`BENCH=${BENCH:-short}\` sets them}"
}

plot() {
    command -v gnuplot >/dev/null || return 0
    gnuplot <<PLOT
set terminal svg size 900,520 font 'sans,11'
set output '$picture'
set datafile separator '\t'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set boxwidth 0.9
set ylabel 'ratio to the limit, more is better'
set yrange [0:*]
set grid ytics
set key top left
set xtics rotate by -40 noenhanced
plot '$bars' using 2:xtic(1) title 'speed', '' using 3 title 'frugality (CPU)'
PLOT
}

{
    sed -n '1,/<!-- measured -->/p' "$page" 2>/dev/null || true
    echo
    machine
    echo
    echo "![speed and frugality](benchmarks.svg)"
    tables
} >build/bench/page.md
mv build/bench/page.md "$page"
plot
