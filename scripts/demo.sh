#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# demo.sh [mariadb|mysql|mariadb118] - what gfreplica is for, on two throw-away servers.
#
# Real data and benchmark tables are moved from a source that applications keep writing to; the process is killed with
# -9 in the middle and started again; after the cutover every row of every table is compared. Needs what `make demo`
# builds. Nothing is left behind; when something fails, the end of gfreplica's log is shown.
set -euo pipefail
export LC_ALL=C

cd "$(dirname "${BASH_SOURCE[0]}")/.."
family=${1:-mariadb}
gfreplica=${GFREPLICA:-build/gfreplica}
work=$(mktemp -d /tmp/gfreplica-demo-XXXXXX)
export GFREPLICA_RUN_DIR=$work/servers
state=$work/state
log=$work/gfreplica.log
databases=(demo_real demo_sysbench demo_writers)
begin=$EPOCHREALTIME
writers=()
mover=
status=0

# --- small helpers --------------------------------------------------------------------------------------------------

say() {
    local elapsed=$(((${EPOCHREALTIME/[.,]/} - ${begin/[.,]/}) / 100000))

    printf '%3d.%d s  %s\n' $((elapsed / 10)) $((elapsed % 10)) "$*"
}

fail() {
    say "FAILED: $*"
    if [[ -s $log ]]; then
        echo "--- the end of gfreplica's log ---"
        tail -n 25 "$log"
    fi
    exit 1
}

clean_up() {
    local pid

    trap - EXIT
    rm -f "$work/editing"
    { # bash would tell of each that it was killed
        for pid in "${writers[@]}" $mover; do kill -9 "$pid" || true; done
        wait || true
    } 2>/dev/null
    scripts/servers.sh destroy --all || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

sql() { # sql SERVER STATEMENT: bare result
    scripts/servers.sh client "$1" "$2" | tail -n +2
}

client() { # a client on the source, in the database of real data; arguments are the client's
    mariadb --no-defaults -uroot -S "$source_socket" --default-character-set=utf8mb4 demo_real "$@"
}

port_of() {
    cat "$GFREPLICA_RUN_DIR/$1/port"
}

rows() { # rows SERVER: all rows of all tables of our databases, counted
    local server=$1 query names

    names=$(printf ", '%s'" "${databases[@]}")
    query=$(sql "$server" "SELECT CONCAT('SELECT COUNT(*) AS n FROM \`', table_schema, '\`.\`', table_name, '\`')
        FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema IN (${names:2})" |
        sed '$!s/$/ UNION ALL/')
    if [[ -z $query ]]; then
        echo 0
    else
        sql "$server" "SELECT SUM(n) FROM ($query) all_tables"
    fi
}

# --- data -----------------------------------------------------------------------------------------------------------

load() { # load TABLE FORMAT [COLUMNS AND SET]: standard input into a table; nothing in it is an escape
    client --local-infile=1 -e "LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE $1 CHARACTER SET utf8mb4
        FIELDS TERMINATED BY '$2' ESCAPED BY '' ${3-}"
}

load_words() {
    client -e "CREATE TABLE words (id INT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE, seen INT UNSIGNED NOT NULL DEFAULT 0,
        word VARCHAR(60) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY)"
    load words '\t' '(word)' </usr/share/dict/american-english
}

load_characters() {
    client -e "CREATE TABLE characters (code INT UNSIGNED NOT NULL PRIMARY KEY, glyph VARCHAR(1) COLLATE utf8mb4_bin,
        name VARCHAR(100) NOT NULL, category CHAR(2) NOT NULL, noted DATETIME(6), KEY (category))"
    # A surrogate is no character: those lines have no glyph.
    load characters ';' "(@hex, name, category) SET code = CONV(@hex, 16, 10), glyph = IF(@hex REGEXP '^D[89A-F]..\$',
        NULL, CONVERT(CONVERT(UNHEX(LPAD(@hex, 8, '0')) USING utf32) USING utf8mb4))" </usr/share/unicode/UnicodeData.txt
}

# Each moment at which a clock somewhere was set: "Zone  Fri Mar 31 23:06:32 1893 UT = Sat Apr  1 00:06:32 1893 CET ..."
load_clock_changes() {
    client -e "CREATE TABLE clock_changes (zone VARCHAR(40) NOT NULL, at_utc DATETIME NOT NULL, at_local DATETIME NOT NULL,
        abbreviation VARCHAR(10) NOT NULL, is_dst BOOL NOT NULL, offset_hours DECIMAL(9,6) NOT NULL,
        PRIMARY KEY (zone, at_utc))"
    # shellcheck disable=SC2046 # names of zones have no blanks
    zdump -v -c 1850,2038 $(awk '!/^#/ { print $3 }' /usr/share/zoneinfo/zone1970.tab) | awk '
        BEGIN { split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", names); for (i in names) month[names[i]] = i }
        NF == 16 { split($15, dst, "="); split($16, offset, "=")
            printf "%s\t%d-%02d-%02d %s\t%d-%02d-%02d %s\t%s\t%s\t%.6f\n", $1, $6, month[$3], $4, $5,
                $13, month[$10], $11, $12, $14, dst[2], offset[2] / 3600 }' | load clock_changes '\t'
}

load_iso_codes() {
    client -e "CREATE TABLE iso_codes (standard VARCHAR(8) NOT NULL, code VARCHAR(10) NOT NULL, doc JSON NOT NULL,
        PRIMARY KEY (standard, code))"
    # One entry a line; its code is whichever of these names it has.
    awk 'FNR == 1 { standard = FILENAME; sub(/.*iso_/, "", standard); sub(/\.json/, "", standard) }
        /^    \{/ { doc = "{"; code = four = three = ""; next }
        /^    \}/ { printf "%s\t%s\t%s}\n", standard, code ? code : four ? four : three, doc; next }
        /^      / { line = $0; sub(/^ +/, "", line); doc = doc line; split(line, part, "\"")
            if (part[2] == "code") code = part[4]
            if (part[2] == "alpha_4") four = part[4]
            if (part[2] == "alpha_3") three = part[4] }' /usr/share/iso-codes/json/iso_*.json | load iso_codes '\t'
}

sysbench_on_source() { # for the background only: there it is to be the process that a signal reaches
    exec sysbench oltp_read_write --db-driver=mysql --mysql-socket="$source_socket" --mysql-user=root \
        --mysql-db=demo_sysbench --mysql-ignore-errors=all --tables=4 --table-size=40000 --threads=4 "$@"
}

load_all() {
    local job

    sql source "CREATE DATABASE demo_real CHARACTER SET utf8mb4; CREATE DATABASE demo_sysbench CHARACTER SET utf8mb4"
    sysbench_on_source prepare >"$work/sysbench.log" 2>&1 &
    job=$!
    build/tools/workload "$source_port" demo_writers fill 3000
    load_words
    load_characters
    load_clock_changes
    load_iso_codes
    wait "$job" || fail "sysbench prepare: $(tail -n 3 "$work/sysbench.log")"
}

# --- writers --------------------------------------------------------------------------------------------------------

# Somebody works on the real data as well, as long as there is the file `editing`.
edit_real_data() {
    local first

    while sleep 0.02 && [[ -e $work/editing ]]; do
        first=$((RANDOM * 4))
        cat <<SQL
START TRANSACTION;
UPDATE words SET seen = seen + 1 WHERE id IN ($((RANDOM * 3)), $((RANDOM * 3 + 1)), $RANDOM);
UPDATE characters SET noted = UTC_TIMESTAMP(6) WHERE code BETWEEN $first AND $((first + 200));
UPDATE iso_codes SET doc = JSON_SET(doc, '$.seen', $RANDOM) WHERE standard = '639-3' ORDER BY RAND() LIMIT 1;
DELETE FROM words WHERE id = $((RANDOM * 3));
INSERT INTO words (word) VALUES ('demo $RANDOM $RANDOM $RANDOM');
COMMIT;
SQL
    done | client
}

start_writers() {
    build/tools/workload "$source_port" demo_writers run 3000 4 25 >"$work/writers.log" 2>&1 &
    writers+=($!)
    sysbench_on_source --time=600 --rate=30 --report-interval=0 run >"$work/sysbench.log" 2>&1 &
    writers+=($!)
    touch "$work/editing"
    edit_real_data >"$work/editor.log" 2>&1 &
    writers+=($!)
}

# The workload tells what it did; sysbench is cut off in the middle, as applications are.
stop_writers() {
    rm "$work/editing"
    kill -TERM "${writers[@]:0:2}"
    wait "${writers[0]}" || fail "the writers: $(tail -n 3 "$work/writers.log")"
    wait "${writers[@]:1}" 2>/dev/null || true
    writers=()
    # A connection that was cut off may be in the middle of its commit.
    until (($(sql source "SELECT COUNT(*) FROM information_schema.processlist WHERE db LIKE 'demo%'") == 0)); do
        sleep 0.1
    done
    sql source "SET GLOBAL read_only = ON"
}

# --- the move -------------------------------------------------------------------------------------------------------

write_config() {
    cat >"$work/move.json" <<JSON
{
    "Source": {"Host": "127.0.0.1", "Port": $source_port, "User": "mover", "Pass": "only what it needs"},
    "Target": {"Host": "127.0.0.1", "Port": $target_port, "User": "root", "Pass": ""},
    "Databases": {"Whitelist": ["demo_real", "demo_sysbench", "demo_writers"]},
    "ControlServerConfig": {"Enabled": false},
    "AutomaticCutover": false
}
JSON
    sql source "CREATE USER mover IDENTIFIED BY 'only what it needs';
        GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO mover"
    for database in "${databases[@]}"; do sql source "GRANT SELECT ON $database.* TO mover"; done
}

start_move() {
    "$gfreplica" --checkpoint-dir "$state" "$work/move.json" >>"$work/stdout" 2>>"$log" &
    mover=$!
}

# progress: gfreplica's own words, on one line that is overwritten on a terminal
progress() {
    local line

    line=$("$gfreplica" status --checkpoint-dir "$state" 2>/dev/null | head -n 1) || return 0
    if [[ -t 1 ]]; then
        printf '\r\033[K         %s' "$line"
    elif ((++progress_calls % 5 == 1)); then
        printf '         %s\n' "$line"
    fi
}
progress_calls=0

end_progress() {
    if [[ -t 1 ]]; then printf '\r\033[K'; fi
}

# until_true SECONDS WHAT COMMAND...: wait for it while the move goes on
until_true() {
    local deadline=$((SECONDS + $1)) what=$2

    shift 2
    until "$@"; do
        if mover_ended; then
            wait "$mover" || status=$?
            fail "gfreplica ended with status $status while we waited for $what"
        fi
        ((SECONDS < deadline)) || fail "waited too long for $what"
        progress
        sleep 0.3
    done
    end_progress
}

a_third_is_there() {
    # Until the target has its tables, or while they are being made, there is nothing to count.
    local n

    n=$(rows target 2>/dev/null) && ((${n:-0} > source_rows / 3))
}

stage_is() {
    "$gfreplica" status --checkpoint-dir "$state" 2>/dev/null | head -n 1 | grep -qw "$1"
}

mover_ended() {
    ! kill -0 "$mover" 2>/dev/null
}

# --- the story ------------------------------------------------------------------------------------------------------

for program in "$gfreplica" build/tools/compare build/tools/workload; do
    [[ -x $program ]] || fail "$program is not built: make demo"
done

say "starting a source and a target ($family)"
# Only gfreplica is killed here, so the servers need not sync each commit: on a slow disk that is most of the time.
options=(--local-infile=ON --innodb-flush-log-at-trx-commit=2 --sync-binlog=0)
scripts/servers.sh fetch "$family"
scripts/servers.sh start "$family" target 0 -- "${options[@]}" >/dev/null &
starting=$!
scripts/servers.sh start "$family" source 0 -- "${options[@]}" >/dev/null
wait "$starting"
source_port=$(port_of source)
target_port=$(port_of target)
source_socket=$(<"$GFREPLICA_RUN_DIR/source/socket")

say "loading words, characters, clock changes, ISO codes and sysbench tables"
load_all
source_rows=$(rows source)
say "the source ($(sql source 'SELECT VERSION()')) has $source_rows rows; applications start to write"
write_config
start_writers

say "moving: gfreplica --checkpoint-dir DIR move.json"
start_move
until_true 300 "a third of the rows" a_third_is_there
{ # quietly, as in clean_up
    kill -9 "$mover"
    wait "$mover" || true
} 2>/dev/null
say "killed with -9; the target has $(rows target) rows"

say "the same command again"
start_move
until_true 300 "the copy to be complete" stage_is streaming
say "copied; following the source, which is still written to"
sleep 2

stop_writers
say "applications stopped after $(<"$work/writers.log")"
say "gfreplica cutover"
"$gfreplica" cutover --checkpoint-dir "$state" >>"$work/stdout" 2>>"$log" || fail "cutover was refused"
for ((i = 0; i < 600; i++)); do
    if mover_ended; then break; fi
    sleep 0.1
done
mover_ended || fail "the cutover does not end"
wait "$mover" || status=$?
mover=
((status == 0)) || fail "gfreplica ended with $status"

say "comparing every row of every table"
build/tools/compare "$source_port" "$target_port" "$(IFS=,; echo "${databases[*]}")" >"$work/compare.log" ||
    fail "source and target differ:
$(cat "$work/compare.log")"
say "$(tail -n 1 "$work/compare.log")"
say "equal. Nothing is left behind."
