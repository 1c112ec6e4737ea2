#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# schemas.sh - print the folder of schemas that no one here wrote: those of applications that Debian packages.
#
# Fetched once with apt and unpacked (nothing is installed) into GFREPLICA_CACHE/schemas (default: .cache in the
# repository). APPLICATION.sql each: zabbix (173 tables, 186 foreign keys; zabbix-data.sql: its own rows), roundcube,
# cacti, pdns.
set -euo pipefail
export LC_ALL=C

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${GFREPLICA_CACHE:=$repo/.cache}"
home=$(cd "$GFREPLICA_CACHE" && pwd)/schemas

fetch() {
    local new=$home.new deb

    if [[ -d $home ]]; then return; fi # another process was faster
    rm -rf "$new"
    mkdir -p "$new/packages"
    (
        cd "$new/packages"
        apt-get -q download zabbix-server-mysql roundcube-core cacti pdns-backend-mysql
    ) >"$new/log" 2>&1 || {
        cat "$new/log" >&2
        echo "schemas: cannot download them; is apt-get update due?" >&2
        exit 1
    }
    for deb in "$new"/packages/*.deb; do dpkg -x "$deb" "$new/root"; done
    gzip -dc "$new/root/usr/share/zabbix-server-mysql/schema.sql.gz" >"$new/zabbix.sql"
    gzip -dc "$new/root/usr/share/zabbix-server-mysql/data.sql.gz" >"$new/zabbix-data.sql"
    cp "$new/root/usr/share/roundcube/SQL/mysql.initial.sql" "$new/roundcube.sql"
    # It asks for this mode on MySQL 9, whose minor version it takes for older than 8.0.11's.
    sed 's/NO_AUTO_CREATE_USER,//' "$new/root/usr/share/cacti/conf_templates/cacti.sql" >"$new/cacti.sql"
    cat "$new"/root/usr/share/pdns-backend-mysql/schema/{schema,enable-foreign-keys}.mysql.sql >"$new/pdns.sql"
    rm -rf "$new/packages" "$new/root"
    mv "$new" "$home"
}

if [[ ! -d $home ]]; then
    (
        flock 9
        fetch
    ) 9>"$home.lock"
fi
echo "$home"
