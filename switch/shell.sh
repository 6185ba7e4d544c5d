#!/usr/bin/env bash
# Opens p4runtime-shell on a running switch: shell.sh [ADDRESS:PORT [DEVICE_ID]] [FLAG...].
# Flags are p4runtime-shell's own: --ssl --cacert CA.pem for a switch with --tls-cert, and
# --cert CLIENT.pem --private-key CLIENT.key where it has --tls-ca.
# It lives in .venv-shell, made on first use: its protobuf is older than what the rest needs.
set -euo pipefail
venv=$(cd "$(dirname "$0")/.." && pwd)/.venv
address=127.0.0.1:9559 device=1
if [[ ${1:--} != -* ]]; then
    address=$1 && shift
    if [[ ${1:--} != -* ]]; then device=$1 && shift; fi
fi
fail() { printf 'shell: %s\n' "$*" >&2; exit 2; }

[[ $address =~ ^([0-9A-Za-z.-]+):([0-9]+)$ ]] || fail "$address: write ADDRESS:PORT, as in 127.0.0.1:9559"
(exec 3<>"/dev/tcp/${BASH_REMATCH[1]}/${BASH_REMATCH[2]}") 2>/dev/null ||
    fail "no switch listens on $address; 'make net' in another terminal starts one"

if ! "$venv-shell"/bin/python -c 'import p4runtime_sh.shell' 2>/dev/null; then
    echo 'making .venv-shell with p4runtime-shell' >&2
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    { "$venv"/bin/python -m venv --clear "$venv-shell" &&
        "$venv-shell"/bin/python -m pip install --disable-pip-version-check p4runtime-shell
    } >"$log" 2>&1 || { tail -n 5 "$log" >&2; fail "p4runtime-shell cannot be installed"; }
fi

# A role of its own: it may write without taking the default role from the running controller.
"$venv-shell"/bin/python -m p4runtime_sh \
    --grpc-addr "$address" --device-id "$device" --role-name shell --election-id 0,1 "$@"
