#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# servers.sh - throw-away MariaDB and MySQL servers for tests and the demo.
#
#   servers.sh start FAMILY NAME PORT [-- OPTION...]   FAMILY: mariadb (the machine's 10.11), mysql (9), mariadb118;
#                                                      PORT 0 picks a free one; OPTIONs go to the server, last wins
#   servers.sh stop NAME | kill NAME (-9)              the data stays
#   servers.sh restart NAME [-- OPTION...]             OPTIONs, when given, replace those of the start
#   servers.sh destroy NAME... | --all                 kill and remove the data
#   servers.sh list                                    NAME FAMILY PORT PID|stopped SOCKET
#   servers.sh client NAME [SQL]                       a prompt, or one statement's result
#   servers.sh fetch FAMILY...                         only fetch and prepare
#   servers.sh tls                                     print the folder of a test CA with server and client certificates
#
# Servers listen on 127.0.0.1 and on a socket; root has no password there. Binlog on, server_id = port, durability as
# the server's own default. What a server needs, all under GFREPLICA_RUN_DIR/NAME (default: .run in the repository):
# data/ tmp/ error.log command port pid socket (the socket's path: a path over 107 bytes cannot be one).
#
# Servers that the machine does not have come from Debian's newer suites: apt, given directories of its own, resolves
# and downloads them with all their libraries, `dpkg -x` unpacks them into GFREPLICA_CACHE (default: .cache in the
# repository), and they run through their own loader. The machine's packages stay as they are.
set -euo pipefail
export LC_ALL=C

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${GFREPLICA_CACHE:=$repo/.cache}" "${GFREPLICA_RUN_DIR:=$repo/.run}"
cache=$(cd "$GFREPLICA_CACHE" && pwd)
run_dir=$(cd "$GFREPLICA_RUN_DIR" && pwd)

die() {
    echo "servers: $*" >&2
    exit 1
}

usage() {
    sed -n '5,15s/^# \{0,2\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# with_lock FILE COMMAND...: one process at a time. Everything started below inherits descriptor 9; servers close it.
with_lock() {
    local file=$1
    shift
    (
        flock 9
        "$@"
    ) 9>"$file"
}

# --- fetching -------------------------------------------------------------------------------------------------------

# The machine's own Debian mirror.
debian_mirror() {
    local mirror

    # shellcheck disable=SC2016 # apt replaces these
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
        head -n 1)
    if [[ -z $mirror ]]; then # no lists yet: read the sources themselves
        mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
            grep -E '^ *(deb|URIs:) ' | grep -Eo '[a-z+]+://[^ ]+/debian/?( |$)' | head -n 1) || true
    fi
    if [[ -z $mirror ]]; then
        echo "servers: no Debian mirror in this machine's apt sources" >&2
        return 1
    fi
    echo "${mirror% }"
}

# write_apt_conf DIR: an apt that knows of no installed package, no other source and no hook of the machine's
write_apt_conf() {
    local dir=$1

    mkdir -p "$dir"/{lists,archives}/partial
    : >"$dir/status"
    cat >"$dir/apt.conf" <<CONF
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architectures { "$(dpkg --print-architecture)"; };
APT::Sandbox::User "$(id -un)";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "1";
Dir::State "$dir";
Dir::State::status "$dir/status";
Dir::State::lists "$dir/lists";
Dir::Cache "$dir";
Dir::Cache::archives "$dir/archives";
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "/dev/null";
CONF
}

# fetch_debs SUITE ROOT PACKAGE...: unpack the packages of a Debian suite, with all that they depend on, into ROOT
fetch_debs() {
    local suite=$1 root=$2 apt="$2.apt" keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror deb
    shift 2

    write_apt_conf "$apt"
    mirror=$(debian_mirror)
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
    if ! apt-get -q -y -c "$apt/apt.conf" update >"$apt/log" 2>&1 ||
        ! apt-get -q -y -c "$apt/apt.conf" install --download-only "$@" >>"$apt/log" 2>&1; then
        tail -n 20 "$apt/log" >&2
        die "cannot fetch $* of Debian $suite from this machine's mirror"
    fi
    mkdir -p "$root"
    for deb in "$apt"/archives/*.deb; do dpkg -x "$deb" "$root"; done
    rm -rf "$apt"
}

# The machine's server comes without its plugins (authentication, compression): they are in the package that would
# also install a service, so that one is unpacked beside it.
fetch_machine_plugins() {
    local root=$1 version

    version=$(dpkg-query -W -f '${Version}' mariadb-server-core)
    mkdir -p "$root/download"
    (
        cd "$root/download"
        apt-get -q download "mariadb-server=$version" || apt-get -q download mariadb-server
    ) >"$root/download/log" 2>&1 || {
        cat "$root/download/log" >&2
        die "cannot download mariadb-server for its plugins; is apt-get update due?"
    }
    dpkg -x "$root"/download/*.deb "$root"
    rm -rf "$root/download"
}

# --- families -------------------------------------------------------------------------------------------------------

# set_family FAMILY: sets `home` (its part of the cache) and, once fetched, `server` (the command with its paths)
set_family() {
    family=$1
    case $family in
        mariadb) home=$cache/mariadb-$(dpkg-query -W -f '${source:Upstream-Version}' mariadb-server-core) ;;
        mysql) home=$cache/mysql ;;
        mariadb118) home=$cache/mariadb118 ;;
        *) die "unknown family $family: mariadb, mysql or mariadb118" ;;
    esac
}

set_server() {
    local root=$1/root libraries

    if [[ $family == mariadb ]]; then
        server=(/usr/sbin/mariadbd --no-defaults --basedir=/usr "--plugin-dir=$root/usr/lib/mysql/plugin")
        share=/usr/share/mysql
    else
        libraries=$(echo "$root"/usr/lib/*-linux-gnu)
        share=$root/usr/share/mysql
        if [[ $family == mariadb118 && -d $root/usr/share/mariadb ]]; then share=$root/usr/share/mariadb; fi
        server=("$(echo "$root"/usr/lib*/ld-linux-*.so.*)"
            --library-path "$libraries:$libraries/mysql:$root/usr/lib/mysql/private"
            "$(find "$root/usr/sbin" -name mysqld -o -name mariadbd | sort | head -n 1)"
            --no-defaults "--basedir=$root/usr" "--lc-messages-dir=$share" "--character-sets-dir=$share/charsets"
            "--plugin-dir=$root/usr/lib/mysql/plugin")
    fi
    if ((EUID == 0)); then server+=(--user=root); fi
    # Small files and little memory: a test starts many servers.
    server+=(--innodb-buffer-pool-size=128M --secure-file-priv=)
    case $family in
        # The performance schema alone is half of the time of a start.
        mysql) server+=(--innodb-redo-log-capacity=64M --mysqlx=OFF --performance-schema=OFF) ;;
        *) server+=(--innodb-log-file-size=64M) ;;
    esac
}

# Both ways of reading it take one statement a line.
root_users='CREATE USER root@127.0.0.1;
GRANT ALL PRIVILEGES ON *.* TO root@127.0.0.1 WITH GRANT OPTION;'

# init_data HOME DATA [OPTION...]: an initialised data directory; its log is beside it
init_data() {
    local data=$2 beside log part

    beside=$(dirname "$2")
    log=$beside/init.log
    set_server "$1"
    shift 2
    case $family in
        mysql)
            echo "$root_users" >"$beside/init.sql"
            "${server[@]}" --initialize-insecure "--init-file=$beside/init.sql" "--datadir=$data" "$@" \
                >"$log" 2>&1 </dev/null
            rm -f "$data/auto.cnf" # holds the server's UUID: each copy makes its own
            ;;
        *)
            mkdir -p "$data/mysql"
            {
                printf 'use mysql;\nSET @auth_root_socket=NULL;\n'
                for part in system_tables performance_tables system_tables_data; do cat "$share"/*_"$part.sql"; done
                cat "$share/fill_help_tables.sql" "$share/maria_add_gis_sp_bootstrap.sql" "$share"/*_sys_schema.sql
                # The script's own root accounts differ by version, and it adds anonymous users.
                printf "DELETE FROM mysql.global_priv WHERE User='' OR User='root' AND Host<>'localhost';\n"
                printf 'FLUSH PRIVILEGES;\n%s\n' "$root_users"
            } | "${server[@]}" --bootstrap --innodb-fast-shutdown=0 "--datadir=$data" >"$log" 2>&1
            ;;
    esac || {
        tail -n 30 "$log" >&2
        die "cannot initialise a data directory for $family"
    }
}

prepare_locked() {
    local new=$home.new

    if [[ -d $home ]]; then return; fi # another process was faster
    rm -rf "$new" "$new".*
    mkdir -p "$new"
    echo "servers: preparing $family (once)" >&2
    case $family in
        mariadb) fetch_machine_plugins "$new/root" ;;
        mysql) fetch_debs unstable "$new/root" mysql-server-core mysql-client-core ;;
        mariadb118) fetch_debs trixie "$new/root" mariadb-server mariadb-server-core ;;
    esac
    init_data "$new" "$new/template" # copied for each server
    mv "$new" "$home"
}

# Fetch and initialise what is not there yet; then `server` can be used.
prepare() {
    set_family "$1"
    if [[ ! -d $home ]]; then with_lock "$home.lock" prepare_locked; fi
    set_server "$home"
}

# --- one server -----------------------------------------------------------------------------------------------------

set_name() {
    name=${1-}
    [[ $name =~ ^[A-Za-z0-9_.-]+$ ]] || die "a server's name is made of letters, digits, _ . and -, not '$name'"
    dir=$run_dir/$name
}

existing() {
    set_name "${1-}"
    [[ -f $dir/command ]] || die "no server '$name' in $run_dir"
    socket=$(<"$dir/socket")
    port=$(<"$dir/port")
    family=$(<"$dir/family")
}

# The process, if it runs. A number alone could by now be someone else's process.
running_pid() {
    local pid

    pid=$(cat "$dir/pid" 2>/dev/null) || return 1
    if tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "--datadir=$dir/data"; then
        echo "$pid"
    else
        return 1
    fi
}

query() {
    mariadb --no-defaults --connect-timeout=5 -uroot -S "$socket" -NBe "$1"
}

# A test may have given root a password: being refused is an answer too.
answers() {
    local text

    [[ -S $socket ]] || return 1
    text=$(query 'SELECT 1' 2>&1) || [[ $text == *'ERROR 1045'* ]]
}

launch() {
    local -a command
    local pid deadline=$((SECONDS + 120)) log_start

    mapfile -d '' command <"$dir/command"
    # Of a killed predecessor, which may still be a zombie and so look alive to mysqld.
    rm -f "$socket" "$socket.lock"
    touch "$dir/error.log"
    log_start=$(($(stat -c %s "$dir/error.log") + 1))
    # Out of the terminal's process group: Ctrl-C is for the script that uses the server.
    setsid "${command[@]}" </dev/null >>"$dir/error.log" 2>&1 9>&- &
    pid=$!
    echo "$pid" >"$dir/pid"
    until answers; do
        if ! kill -0 "$pid" 2>/dev/null || ((SECONDS > deadline)); then
            tail -c "+$log_start" "$dir/error.log" >"$dir/failed.log"
            return 1
        fi
        sleep 0.05
    done
}

report_failed_start() {
    tail -n 25 "$dir/failed.log" >&2
    die "$name did not start, see the end of its log above"
}

free_port() {
    local candidate

    while :; do # below the range from which the kernel picks ports for outgoing connections
        candidate=$((10240 + (RANDOM * 32768 + RANDOM) % 22000))
        if ! (: <>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; then break; fi
    done
    echo "$candidate"
}

write_command() {
    local -a command=("${server[@]}" "--datadir=$dir/data" "--tmpdir=$dir/tmp" "--pid-file=$dir/server.pid"
        "--socket=$socket" --bind-address=127.0.0.1 "--port=$port" "--server-id=$port"
        "--log-bin=$dir/data/binlog")

    case $family in
        mysql) command+=(--gtid-mode=ON --enforce-gtid-consistency=ON) ;; # row format is the only default left
        *) command+=(--binlog-format=ROW) ;;
    esac
    printf '%s\0' "${command[@]}" "$@" >"$dir/command"
    echo "$port" >"$dir/port"
}

# MySQL encrypts with a key from a keyring, which comes before its options: files beside the program and in the data say
# which one. Servers whose data has no such file have none.
put_keyring() {
    local program=$home/root/usr/sbin/mysqld.my plugin=$home/root/usr/lib/mysql/plugin/component_keyring_file.cnf

    if [[ ! -e $program ]]; then echo '{"read_local_manifest": true}' >"$program"; fi
    if [[ ! -e $plugin ]]; then echo '{"read_local_config": true}' >"$plugin"; fi
    echo '{"components": "file://component_keyring_file"}' >"$dir/data/mysqld.my"
    echo "{\"path\": \"$dir/data/keyring\", \"read_only\": false}" >"$dir/data/component_keyring_file.cnf"
}

# new_data OPTION...: which names are equal is settled when MySQL's data directory is made
new_data() {
    local option

    for option in "$@"; do
        if [[ $family == mysql && $option == --lower-case-table-names=* ]]; then
            init_data "$home" "$dir/data" "$option"
            return
        fi
    done
    cp -a --sparse=always --reflink=auto "$home/template" "$dir/data"
    if [[ $family == mysql && " $* " == *" --binlog-encryption=ON "* ]]; then put_keyring; fi
}

cmd_start() {
    (($# >= 3)) || usage
    local wanted_port=$3 attempt

    set_name "$2"
    prepare "$1"
    shift 3
    if [[ ${1-} == -- ]]; then shift; fi
    [[ $wanted_port =~ ^[0-9]+$ ]] || die "a port is a number, not '$wanted_port'"
    mkdir "$dir" 2>/dev/null || die "$name exists already: restart or destroy it"
    mkdir "$dir/tmp"
    new_data "$@"
    socket=$dir/socket.sock
    if ((${#socket} > 107)); then socket=$(mktemp -d "/tmp/gfreplica-XXXXXX")/s; fi
    echo "$socket" >"$dir/socket"
    echo "$family" >"$dir/family"

    for attempt in 1 2 3 4 5; do
        port=$wanted_port
        if ((port == 0)); then port=$(free_port); fi
        write_command "$@"
        if launch; then
            show
            return
        fi
        # Only a port of our own choice that someone else took meanwhile is worth another try.
        if ((wanted_port != 0)) || ! grep -qiE 'address already in use|bind on tcp' "$dir/failed.log"; then break; fi
        echo "servers: port $port was taken, attempt $attempt" >&2
    done
    report_failed_start
}

cmd_restart() {
    existing "${1-}"
    shift
    cmd_stop "$name"
    if [[ ${1-} == -- ]]; then
        shift
        prepare "$family"
        write_command "$@"
    fi
    launch || report_failed_start
}

wait_gone() {
    local pid=$1 deadline=$((SECONDS + $2))

    while kill -0 "$pid" 2>/dev/null; do
        # The parent of a server is whoever started it, or nobody: a zombie is gone enough.
        if [[ $(ps -o stat= -p "$pid") == Z* ]]; then return; fi
        if ((SECONDS > deadline)); then return 1; fi
        sleep 0.02
    done
}

signal() {
    local pid

    existing "$1"
    pid=$(running_pid) || return 0
    kill "-$2" "$pid"
    wait_gone "$pid" "$3" || die "$name (process $pid) does not end"
}

cmd_stop() {
    signal "${1-}" TERM 120
}

cmd_kill() {
    signal "${1-}" KILL 20
}

cmd_destroy() {
    local each

    if [[ ${1-} == --all ]]; then
        mapfile -t names < <(all_names)
        set -- "${names[@]}"
    fi
    for each in "$@"; do
        set_name "$each"
        if [[ -f $dir/command ]]; then cmd_kill "$each"; fi
        if [[ -f $dir/socket && $(<"$dir/socket") == /tmp/gfreplica-* ]]; then rm -rf "$(dirname "$(<"$dir/socket")")"; fi
        rm -rf "$dir"
    done
}

all_names() {
    local command

    for command in "$run_dir"/*/command; do
        if [[ -f $command ]]; then basename "$(dirname "$command")"; fi
    done
}

show() {
    echo "$name $family $port $(running_pid || echo stopped) $socket"
}

cmd_list() {
    local each

    for each in $(all_names); do
        existing "$each"
        show
    done
}

cmd_client() {
    existing "${1-}"
    if (($# > 1)); then
        mariadb --no-defaults --local-infile=1 -uroot -S "$socket" -e "$2"
    else
        exec mariadb --no-defaults --local-infile=1 -uroot -S "$socket"
    fi
}

cmd_fetch() {
    local each

    for each in "$@"; do prepare "$each"; done
}

# certificate DIR NAME SUBJECT EXTENSIONS: signed by DIR/ca.pem
certificate() {
    local base=$1/$2

    openssl req -newkey rsa:2048 -nodes -keyout "$base-key.pem" -out "$base.csr" -subj "$3" 2>/dev/null
    openssl x509 -req -in "$base.csr" -CA "$1/ca.pem" -CAkey "$1/ca-key.pem" -CAcreateserial -days 3650 \
        -extfile <(printf '%s\n' "$4") -out "$base-cert.pem" 2>/dev/null
    rm "$base.csr"
}

make_tls_locked() {
    local new=$cache/tls.new ca

    if [[ -d $cache/tls ]]; then return; fi
    rm -rf "$new"
    mkdir -p "$new"
    for ca in ca other-ca; do # other-ca has signed nothing: who trusts it must refuse
        openssl req -x509 -newkey rsa:2048 -nodes -keyout "$new/$ca-key.pem" -out "$new/$ca.pem" -days 3650 \
            -subj "/CN=gfreplica test $ca" 2>/dev/null
    done
    certificate "$new" server /CN=localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
    certificate "$new" wrong-name /CN=elsewhere.invalid 'subjectAltName=DNS:elsewhere.invalid'
    certificate "$new" client /CN=gfreplica-client 'extendedKeyUsage=clientAuth'
    mv "$new" "$cache/tls"
}

cmd_tls() {
    if [[ ! -d $cache/tls ]]; then with_lock "$cache/tls.lock" make_tls_locked; fi
    echo "$cache/tls"
}

action=${1-}
case $action in
    start | stop | kill | restart | destroy | list | client | fetch | tls)
        shift
        "cmd_$action" "$@"
        ;;
    *) usage ;;
esac
