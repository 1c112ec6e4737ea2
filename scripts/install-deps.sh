#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# install-deps.sh - install what building and testing gfreplica need on Debian 12, and only what is missing.
#
# Run as root or with sudo at hand. When everything is there it only asks dpkg once, so `make` can call it every time.
# No database service is left behind: the -core packages carry the server's files without an init script.
set -euo pipefail
export LC_ALL=C

packages=(
    # build
    gcc libc6-dev clang libclang-rt-14-dev make pkg-config
    libmariadb-dev libssl-dev libmsgpack-dev libjansson-dev libmicrohttpd-dev
    libzstd-dev zlib1g-dev uthash-dev libxxhash-dev
    # tests and checks
    check mariadb-server-core mariadb-client-core sysbench openssl curl
    shellcheck clang-format spin
    # scripts/servers.sh fetches further servers with apt
    ca-certificates debian-archive-keyring xz-utils procps
    # real data for the demo
    tzdata unicode-data wamerican iso-codes
)
# make bench: those that are measured beside us, and the picture
if [[ ${1-} == bench ]]; then packages+=(mariadb-client mydumper gnuplot-nox); fi

missing_packages() {
    local -A installed=()
    local name status

    while read -r name status; do
        if [[ $status == installed ]]; then installed[$name]=1; fi
    done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null)
    for name in "${packages[@]}"; do
        if [[ -z ${installed[$name]-} ]]; then echo "$name"; fi
    done
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "install-deps: needs root (or sudo) to install: ${missing[*]}" >&2
        exit 1
    fi
}

apt() {
    # A lock timeout: a fresh machine may be busy with its own unattended upgrade.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# A package whose candidate is unknown, or gone from the mirror, means that the lists are missing or old.
install_missing() {
    apt install --no-install-recommends "${missing[@]}"
}

mapfile -t missing < <(missing_packages)
if ((${#missing[@]} == 0)); then exit 0; fi

if ! command -v apt-get >/dev/null; then
    echo "install-deps: no apt-get here; install by hand what matches: ${missing[*]}" >&2
    exit 1
fi

echo "install-deps: installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install_missing >"$log" 2>&1; then
    # A third party's source that does not answer must not keep us from Debian's own.
    apt update >"$log" 2>&1 || true
    if ! install_missing >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "install-deps: apt could not install all packages, see above" >&2
        exit 1
    fi
fi
