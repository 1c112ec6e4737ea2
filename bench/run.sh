#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh - gfreplica beside what else moves data, on the same two servers in the same run.
#
#   bench/run.sh [ROW...]        rows: see `rows` below; all of them without an argument
#
# SERVERS=mariadb|mysql, BENCH=full for the sizes of the goal (else a fifth of them), RUNS=N of each way (3; full: 5),
# WAYS="gfreplica limit-load-2" for some of the ways.
# Every way of a row runs once per round, so that what else the machine does meets all of them. Results are appended to
# build/bench/results.tsv (family row way wall cpu-all cpu-way rss-kib ...), from which bench/report.sh makes the page.
#
# Servers write a binlog and are durable (sync_binlog=1, innodb_flush_log_at_trx_commit=1), as targets of a move are.
# shellcheck disable=SC2317 # functions are called by name
set -euo pipefail
export LC_ALL=C

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
family=${SERVERS:-mariadb}
bin=${GFREPLICA:-build/gfreplica}
tools=build/bench
results=$tools/results.tsv
full=0
if [[ ${BENCH-} == full ]]; then full=1; fi
runs=${RUNS:-$((full ? 5 : 3))}
export GFREPLICA_RUN_DIR=${BENCH_DIR:-$(mktemp -d /tmp/gfreplica-bench-XXXXXX)}
run=$GFREPLICA_RUN_DIR
mkdir -p "$run" "$tools"

rows=(copy4 copy1 mixed many start index8 source backlog hot large delay)
if ((full)); then rows+=(linear); fi

# --- servers ---------------------------------------------------------------------------------------------------------

say() { echo "bench: $*" >&2; }

cleanup() {
    local pid

    for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
    if [[ -z ${BENCH_DIR-} ]]; then
        scripts/servers.sh destroy --all >/dev/null 2>&1 || true
        rm -rf "$run"
    fi
}
trap cleanup EXIT

start_server() { # NAME
    local options=(--sync-binlog=1 --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=512M --local-infile=ON
        --max-allowed-packet=64M --secure-file-priv= --binlog-format=ROW)

    # MariaDB's replica writes no binlog of what it applies unless told: what we write is in the target's binlog.
    if [[ $family == mariadb ]]; then options+=(--innodb-log-file-size=512M --log-slave-updates); else options+=(--innodb-redo-log-capacity=512M); fi
    scripts/servers.sh start "$family" "$1" 0 -- "${options[@]}" >/dev/null
}

sql() { # SERVER SQL [DATABASE]
    mariadb --no-defaults --binary-mode --local-infile=1 -N -uroot -S "$run/$1/socket.sock" -e "$2" ${3:+"$3"}
}

pid_of() { tr -d '\n' <"$run/$1/pid"; }
port_of() { tr -d ' \n' <"$run/$1/port"; }
url_of() { echo "mysql://root@127.0.0.1:$(port_of "$1")/"; }

reset_binlog() { # SERVER
    sql "$1" "$([[ $family == mariadb ]] && echo RESET MASTER || echo RESET BINARY LOGS AND GTIDS)"
}

empty_target() { # DATABASE
    sql tgt "DROP DATABASE IF EXISTS $1; DROP DATABASE IF EXISTS _gfreplica"
    reset_binlog tgt
    rm -rf "$run/state"
    sleep 1 # purging goes on behind
}

empty_schema() { # DATABASE: the target with the tables, but no rows
    empty_target "$1"
    sql tgt "CREATE DATABASE $1"
    mariadb-dump --no-defaults -uroot -S "$run/src/socket.sock" --no-data --skip-comments "$1" |
        sed 's/ AUTO_INCREMENT=[0-9]*//' | mariadb --no-defaults -uroot -S "$run/tgt/socket.sock" "$1"
}

sysbench_on() { # SERVER TABLES ROWS ARGUMENT...
    local server=$1 tables=$2 size=$3

    shift 3
    sysbench --db-driver=mysql --mysql-socket="$run/$server/socket.sock" --mysql-user=root --mysql-db=bench \
        --tables="$tables" --table-size="$size" --db-ps-mode=disable "$@" >"$run/sysbench.log" 2>&1 ||
        { tail -5 "$run/sysbench.log" >&2; return 1; }
}

# --- measuring -------------------------------------------------------------------------------------------------------

record() { # ROW WAY MEASURED...
    printf '%s\t%s\t%s\t%s\n' "$family" "$1" "$2" "$3" | tee -a "$results" >&2
}

# measured ROW WAY COMMAND...: all CPU is the command's and both servers'
measured() {
    local row=$1 way=$2

    shift 2
    if [[ -n ${WAYS-} && " $WAYS " != *" $way "* ]]; then return 0; fi
    if ! "$tools/measure" "$(pid_of src)" "$(pid_of tgt)" -- "$@" 3>"$run/measured" >"$run/way.log" 2>&1; then
        say "$row: $way failed: $(tail -n 3 "$run/way.log")"
        return 0
    fi
    record "$row" "$way" "$(awk -F'\t' '{ printf "%.3f\t%.3f\t%.3f\t%d", $1, $2 + $3 + $5 + $6, $2 + $3, $4 }' "$run/measured")"
}

way_gfreplica() { # ROW WAY ARGUMENT...
    local row=$1 way=$2

    shift 2
    empty_target bench
    measured "$row" "$way" "$bin" --checkpoint-dir "$run/state" --source "$(url_of src)" --target "$(url_of tgt)" \
        --databases bench --automatic-cutover "$@"
}

way_limit() { # ROW load|insert CONNECTIONS
    local ext=tsv

    if [[ $2 == insert ]]; then ext=sql; fi
    empty_schema bench
    measured "$1" "limit-$2-$3" "$tools/ingest" "$run/tgt/socket.sock" bench "$3" "$2" "$run"/data/*."$ext"
}

way_dump() { # ROW
    local client="--no-defaults -uroot"

    empty_target bench
    sql tgt "CREATE DATABASE bench"
    measured "$1" dump bash -c "set -o pipefail; mariadb-dump $client -S $run/src/socket.sock --single-transaction bench |
        mariadb $client --binary-mode -S $run/tgt/socket.sock bench"
}

way_mydumper() { # ROW
    rm -rf "$run/dump"
    empty_target bench
    measured "$1" mydumper bash -c "mydumper -u root -S $run/src/socket.sock -B bench -t 2 -r 100000 -o $run/dump &&
        myloader -u root -S $run/tgt/socket.sock -t 2 -e -d $run/dump"
}

# --- data ------------------------------------------------------------------------------------------------------------

fresh_source() {
    sql src "DROP DATABASE IF EXISTS bench; CREATE DATABASE bench"
    rm -rf "$run/data"
    mkdir -p "$run/data"
    chmod 777 "$run" "$run/data"
}

# Ready files for the limit, four to a table where it stands alone: lines for LOAD DATA and 1,000-row INSERTs.
export_table() { # TABLE PIECES COLUMNS(of the SELECT) [WHAT STANDS BEHIND LOAD DATA]
    local table=$1 pieces=$2 columns=$3 low i
    local max
    max=$(sql src "SELECT MAX(id) FROM bench.$table")
    low=0
    for ((i = 1; i <= pieces; i++)); do
        local high=$((max * i / pieces))

        sql src "SELECT $columns INTO OUTFILE '$run/data/$table.$i.tsv' CHARACTER SET binary FROM bench.$table
            WHERE id > $low AND id <= $high"
        mariadb-dump --no-defaults -uroot -S "$run/src/socket.sock" --no-create-info --skip-extended-insert --compact \
            --skip-add-locks --where="id > $low AND id <= $high" bench "$table" |
            awk -v out="$run/data/$table.$i.sql" '
                match($0, /^INSERT INTO `[^`]*` VALUES /) {
                    row = substr($0, RLENGTH + 1)
                    sub(/;$/, "", row)
                    printf "%s%s", n % 1000 == 0 ? (n ? "\n" : "") substr($0, 1, RLENGTH) : ",", row > out
                    n++
                }'
        low=$high
    done
    if [[ -n ${4-} ]]; then echo "$4" >"$run/data/$table.columns"; fi
}

data_sysbench() { # TABLES ROWS
    local i

    fresh_source
    sysbench_on src "$1" "$2" oltp_write_only prepare
    for ((i = 1; i <= $1; i++)); do export_table "sbtest$i" "$((4 / $1))" '*'; done
}

data_mixed() { # ROWS: about 1 KiB each
    local load="(id,a,b,t,bl,@j,d,dt,f,g) SET j=CONVERT(@j USING utf8mb4)"

    fresh_source
    sql src "CREATE TABLE bench.mixed (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(100), b CHAR(36), t TEXT, bl BLOB,
        j JSON, d DECIMAL(20,6), dt DATETIME(6), f DOUBLE, g DOUBLE, KEY (dt))"
    sql src "SET SESSION $([[ $family == mariadb ]] && echo max_recursive_iterations || echo cte_max_recursion_depth)=2000000;
        INSERT INTO bench.mixed (a,b,t,bl,j,d,dt,f,g) WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n+1 FROM s WHERE n < $1)
        SELECT REPEAT(LEFT(SHA2(n, 256), 32), 3), UUID(), REPEAT(CONCAT('some text\tof ', LEFT(SHA2(n+1, 256), 32), '\n'), 8),
            UNHEX(REPEAT(CONCAT(SHA2(n, 256), '00095C0A27'), 7)),
            CONCAT('{\"n\": ', n, ', \"s\": \"', LEFT(SHA2(n+2, 256), 32), '\", \"list\": [1, 2.5, true, null]}'), n * 1.234567,
            DATE_ADD('2020-01-01', INTERVAL n * 1234567 MICROSECOND), RAND(n) * 1e9, SQRT(n) FROM s"
    export_table mixed 4 '*' "$load"
}

data_many() { # TABLES
    local i

    fresh_source
    for ((i = 1; i <= $1; i++)); do
        echo "CREATE TABLE t$i (id INT PRIMARY KEY, k INT, c VARCHAR(100), KEY (k));"
        echo "INSERT INTO t$i SELECT seq, seq * 7, SHA2(seq, 256) FROM (WITH RECURSIVE s AS (SELECT 1 seq UNION ALL
            SELECT seq + 1 FROM s WHERE seq < 50) SELECT seq FROM s) x;"
    done | sed '1i SET sql_log_bin=0;' | mariadb --no-defaults -uroot -S "$run/src/socket.sock" bench
    reset_binlog src
}

data_index8() { # ROWS
    local i keys=""

    data_sysbench 1 "$1"
    for i in 1 2 3 4 5 6 7; do keys+="${keys:+, }ADD KEY k$i (k, c($((i * 4))))"; done
    sql src "ALTER TABLE bench.sbtest1 $keys"
}

# --- rows ------------------------------------------------------------------------------------------------------------

scaled() { echo $((full ? $1 : $1 / 5)); }

copy_round() { # ROW
    local n

    for n in 1 2 4; do
        way_limit "$1" load "$n"
        way_limit "$1" insert "$n"
    done
    way_gfreplica "$1" gfreplica
    way_gfreplica "$1" gfreplica-insert --copy-method insert
    way_dump "$1"
    way_mydumper "$1"
}

each_round() { # FUNCTION ARGUMENT...
    local i

    for ((i = 0; i < runs; i++)); do "$@"; done
}

row_copy4() {
    data_sysbench 4 "$(scaled 250000)"
    each_round copy_round copy4
}

row_copy1() {
    data_sysbench 1 "$(scaled 1000000)"
    each_round copy_round copy1
}

row_mixed() {
    data_mixed "$(scaled 300000)"
    each_round copy_round mixed
}

many_round() {
    way_gfreplica many gfreplica
    way_dump many
    way_mydumper many
}

row_many() {
    data_many "$(scaled 2000)"
    each_round many_round
}

row_index8() {
    data_index8 "$(scaled 500000)"
    each_round copy_round index8
}

# From the command to the stage "copying" with thousands of tables: definitions read, tables made.
start_round() { # TABLES
    local since pid

    empty_target bench
    : >"$run/follow.log"
    "$bin" --checkpoint-dir "$run/state" --source "$(url_of src)" --target "$(url_of tgt)" --databases bench \
        2>"$run/follow.log" >/dev/null &
    pid=$!
    since=$EPOCHREALTIME
    until grep -q 'stage copying' "$run/follow.log" || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    record start "gfreplica" "$(awk -v a="$since" -v b="$EPOCHREALTIME" -v n="$1" 'BEGIN { printf "%.2f\t%d\t0\t0", b - a, n }')"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
}

row_start() {
    data_many "$(scaled 10000)"
    each_round start_round "$(scaled 10000)"
}

# A million rows and ten: the ratio of their speeds to the limit's of the same size should be the same.
row_linear() {
    local size

    for size in 1000000 10000000; do
        data_sysbench 1 "$size"
        way_limit "linear-$size" load 2
        way_limit "linear-$size" load 4
        way_gfreplica "linear-$size" gfreplica
    done
}

# --- the source's own work ---

# Copy after copy, as long as the source is measured.
again_and_again() { # COMMAND...
    while :; do "$@" >/dev/null 2>&1 || true; done
}

copy_once() { # ARGUMENT...
    rm -rf "$run/state"
    sql tgt "DROP DATABASE IF EXISTS bench; DROP DATABASE IF EXISTS _gfreplica"
    exec "$bin" --checkpoint-dir "$run/state" --source "$(url_of src)" --target "$(url_of tgt)" --databases bench \
        --automatic-cutover "$@"
}

dump_once() {
    rm -rf "$run/dump"
    exec mydumper -u root -S "$run/src/socket.sock" -B bench -t 2 -r 100000 -o "$run/dump"
}

source_beside() { # WAY [COMMAND...]
    local way=$1 pid=

    shift
    if (($# > 0)); then
        setsid bash -c "$(declare -p bin run family repo); $(declare -f again_and_again copy_once dump_once sql url_of port_of)
            cd \"\$repo\"; f() { ($*); }; again_and_again f" &
        pid=$!
        sleep 1
    fi
    sysbench_on src 4 "$(scaled 250000)" oltp_read_write --threads=4 --time=$((full ? 60 : 15)) run
    if [[ -n $pid ]]; then
        kill -KILL -- "-$pid"
        wait "$pid" 2>/dev/null || true
    fi
    record source "$way" "$(awk '/transactions:/ { gsub(/[(]/, ""); t = $3 } /95th percentile:/ { p = $3 }
        END { printf "%s\t%s\t0\t0", t, p }' "$run/sysbench.log")"
}

source_round() {
    source_beside alone
    source_beside gfreplica copy_once
    source_beside gfreplica-sparing copy_once --max-source-load 1
    source_beside mydumper dump_once
}

row_source() {
    data_sysbench 4 "$(scaled 250000)"
    each_round source_round
}

stop_native() { sql native "$([[ $family == mariadb ]] && echo STOP SLAVE || echo STOP REPLICA)"; }

# A replica that has all that the source has now.
native_replica() {
    stop_native 2>/dev/null || true
    sql native "DROP DATABASE IF EXISTS bench; CREATE DATABASE bench"
    mariadb-dump --no-defaults -uroot -S "$run/src/socket.sock" --single-transaction bench |
        mariadb --no-defaults --binary-mode -uroot -S "$run/native/socket.sock" bench
    reset_binlog native
    if [[ $family == mariadb ]]; then
        sql native "RESET SLAVE ALL; SET GLOBAL gtid_slave_pos='$(sql src 'SELECT @@gtid_binlog_pos')';
            SET GLOBAL slave_parallel_threads=4; SET GLOBAL slave_parallel_mode='optimistic';
            CHANGE MASTER TO master_host='127.0.0.1', master_port=$(port_of src), master_user='root', master_use_gtid=slave_pos"
    else
        sql native "RESET REPLICA ALL; SET GLOBAL gtid_purged='$(sql src 'SELECT @@gtid_executed' | tr -d '\n')';
            SET GLOBAL replica_parallel_workers=8;
            CHANGE REPLICATION SOURCE TO source_host='127.0.0.1', source_port=$(port_of src), source_user='root',
            source_auto_position=1, get_source_public_key=1"
    fi
}

# gfreplica up to streaming, in the background; ends with its stop or its cutover.
start_following() {
    empty_target bench
    : >"$run/follow.log" # there before the loop below looks
    "$bin" --checkpoint-dir "$run/state" --source "$(url_of src)" --target "$(url_of tgt)" --databases bench \
        2>"$run/follow.log" >/dev/null &
    following=$!
    until grep -q 'stage streaming' "$run/follow.log"; do
        kill -0 "$following" || { tail -3 "$run/follow.log" >&2; return 1; }
        sleep 0.2
    done
}

backlog_round() { # ROW TRANSACTIONS SYSBENCH-ARGUMENT...
    local row=$1 count=$2
    shift 2

    start_following
    kill -TERM "$following"
    wait "$following" || true
    native_replica
    sysbench_on src 4 25000 oltp_write_only --threads=8 --events="$count" --time=0 "$@" run
    measured "$row" gfreplica "$bin" --checkpoint-dir "$run/state" --source "$(url_of src)" --target "$(url_of tgt)" \
        --databases bench --automatic-cutover
    native_measured "$row"
}

native_measured() { # ROW
    "$tools/measure" "$(pid_of src)" "$(pid_of native)" -- \
        mariadb --no-defaults -N -uroot -S "$run/native/socket.sock" -e "$(native_statement)" \
        3>"$run/measured" >"$run/way.log" 2>&1 || { say "native failed: $(tail -n 3 "$run/way.log")"; return 0; }
    record "$1" native "$(awk -F'\t' '{ printf "%.3f\t%.3f\t%.3f\t%d", $1, $2 + $3 + $5 + $6, $2 + $3, $4 }' "$run/measured")"
    stop_native
}

native_statement() {
    if [[ $family == mariadb ]]; then
        echo "START SLAVE; SELECT MASTER_GTID_WAIT('$(sql src 'SELECT @@gtid_binlog_pos')', 600)"
    else
        echo "START REPLICA; SELECT WAIT_FOR_EXECUTED_GTID_SET('$(sql src 'SELECT @@gtid_executed' | tr -d '\n')', 600)"
    fi
}

data_backlog() {
    start_server native
    fresh_source
    sysbench_on src 4 25000 oltp_write_only prepare
    sql src "CREATE TABLE bench.probe (id INT PRIMARY KEY)"
}

row_backlog() {
    data_backlog
    each_round backlog_round backlog "$(scaled 50000)" --rand-type=uniform
}

row_hot() {
    data_backlog
    each_round backlog_round hot "$(scaled 50000)" --rand-type=special --rand-spec-pct=10 --rand-spec-res=90
}

# The same changes in one transaction and in transactions of ten rows.
large_round() { # ROWS
    local way low

    for way in one-transaction many-small; do
        start_following
        kill -TERM "$following"
        wait "$following" || true
        if [[ $way == one-transaction ]]; then
            sql src "UPDATE bench.sbtest1 SET k = k + 1, c = REVERSE(c)"
        else
            for ((low = 0; low < $1; low += 10)); do
                echo "UPDATE sbtest1 SET k = k + 1, c = REVERSE(c) WHERE id > $low AND id <= $((low + 10));"
            done | mariadb --no-defaults -uroot -S "$run/src/socket.sock" bench
        fi
        measured large "$way" "$bin" --checkpoint-dir "$run/state" --source "$(url_of src)" --target "$(url_of tgt)" \
            --databases bench --automatic-cutover
    done
}

row_large() {
    fresh_source
    sysbench_on src 1 "$(scaled 500000)" oltp_write_only prepare
    each_round large_round "$(scaled 500000)"
}

delay_of() { # WAY SERVER
    sysbench_on src 4 25000 oltp_write_only --threads=4 --rate=300 --time=$((full ? 60 : 20)) run &
    local load=$!
    sleep 2
    record delay "$1" "$("$tools/delay" "$run/src/socket.sock" "$run/$2/socket.sock" bench $((full ? 50 : 15)))"
    wait "$load"
}

delay_round() {
    start_following
    delay_of gfreplica tgt
    kill -TERM "$following"
    wait "$following" || true
    native_replica
    sql native "$(native_statement)" >/dev/null
    delay_of native native
    stop_native
}

row_delay() {
    data_backlog
    each_round delay_round
}

# --- main ------------------------------------------------------------------------------------------------------------

for tool in sysbench mariadb mariadb-dump mydumper myloader; do
    command -v "$tool" >/dev/null || { echo "bench: $tool is missing: make bench-deps" >&2; exit 1; }
done
if (($# > 0)); then rows=("$@"); fi
say "$family, $runs runs each, $( ((full)) && echo "full" || echo "a fifth of the") size, in $run"
start_server src
start_server tgt
for row in "${rows[@]}"; do
    say "row $row"
    "row_$row"
    scripts/servers.sh destroy native >/dev/null 2>&1 || true
done
