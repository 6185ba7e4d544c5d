#!/usr/bin/env bash
# Brings a fresh Debian 12 or Ubuntu 22.04+ machine to where NetMigrate runs: the Debian packages
# that are missing, a virtual environment in .venv, and what is generated or compiled in place.
# Safe to run again: it does only what is not done yet.
set -euo pipefail
cd "$(dirname "$0")/.."

log=.venv-setup.log
say() { printf '  %s\n' "$*"; }
fail() { printf 'set-up failed: %s\n' "$*" >&2; exit 2; }
quietly() { "$@" >>"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "$1 (whole log: $log)"; }; }
: >"$log"

# Mininet's Python module lives in the system's dist-packages, so the system's Python is the base.
# Ubuntu 22.04's own is 3.10; its python3.11 package shares the same dist-packages.
python=/usr/bin/python3
extra=""
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=/usr/bin/python3.11
    extra="3.11"
fi

missing=()
want() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' || missing+=("$1"); }
for package in "python${extra:-3}" "python${extra:-3}-venv" "python${extra:-3}-dev" gcc libc6-dev \
    mininet redis-server redis-tools iproute2 iputils-ping ethtool openssl spin; do
    want "$package"
done
if [ ${#missing[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || fail "these packages are missing: ${missing[*]}. Run it with sudo, or: sudo apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    quietly apt-get update
    # RUNLEVEL=1 keeps the packaged redis-server service from starting: every host has its own.
    quietly env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
fi

if ! .venv/bin/python -c '' 2>/dev/null; then
    say "making the virtual environment in .venv"
    quietly "$python" -m venv --system-site-packages .venv
fi
say "installing Python packages and compiling the agent's and the client's cores"
quietly .venv/bin/python -m pip install --disable-pip-version-check -e '.[dev]'
say "generating the protobuf code"
quietly .venv/bin/python -m grpc_tools.protoc -I. --plugin=protoc-gen-mypy=.venv/bin/protoc-gen-mypy \
    --plugin=protoc-gen-mypy_grpc=.venv/bin/protoc-gen-mypy_grpc \
    --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. \
    hosts/agent/agent.proto controller/controller.proto
rm -f "$log"
