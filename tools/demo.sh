#!/usr/bin/env bash
# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

# Shows a Cinder backend over three simulated clusters: Cinder's own services
# and the real openstack client, on loopback ports, in a temporary folder.
# Needs Python 3.11 or newer; the rest is installed from the package index
# into .venv-demo, which later runs reuse.
#
#   tools/demo.sh             show everything, clean up, exit 0 if all held
#   tools/demo.sh --keep      leave it running and print how to talk to it
#   tools/demo.sh --threads   Cinder on native threads instead of eventlet
#
# DEMO_VENV names a virtual environment that has everything already; then
# nothing is installed.

set -o errexit -o nounset -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${DEMO_VENV:-${ROOT}/.venv-demo}
CINDER='cinder==29.*'
TICK_SECONDS=15

source "${ROOT}/tools/lib/log.sh"
source "${ROOT}/tools/lib/packages.sh"
source "${ROOT}/tools/lib/venv.sh"

TICKER=

# Show every now and then that a long step is still going on. $1: the step.
function start_ticker {
    (
        trap 'kill $! 2>/dev/null; exit 0' TERM
        while sleep "${TICK_SECONDS}" & wait $!; do
            log_step "still $1"
        done
    ) &
    TICKER=$!
}

function stop_ticker {
    if [[ -n ${TICKER} ]]; then
        kill "${TICKER}" 2>/dev/null || true
        wait "${TICKER}" 2>/dev/null || true
        TICKER=
    fi
}

# pbr asks git for the version: git refuses a checkout of another user, and
# an unpacked archive has nothing to ask.
function settle_version {
    export GIT_CONFIG_COUNT=1
    export GIT_CONFIG_KEY_0=safe.directory
    export GIT_CONFIG_VALUE_0=${ROOT}
    if ! git -C "${ROOT}" rev-parse --git-dir >/dev/null 2>&1; then
        export PBR_VERSION=${PBR_VERSION:-0.0.1}
    fi
}

# What decides whether the environment of an earlier run still fits.
function inputs_digest {
    cat "${ROOT}/pyproject.toml" "${ROOT}/setup.cfg" \
        "${ROOT}/test-requirements.txt" "${BASH_SOURCE[0]}" | sha256sum
}

# Have the environment; demos that start at the same time take turns.
function prepare {
    local python inputs
    python=$(find_python) || die "Python 3.11 or newer is needed"
    inputs=$(inputs_digest)
    exec {lock}<"${ROOT}"
    flock "${lock}"
    if [[ $(cat "${VENV}/.inputs" 2>/dev/null) != "${inputs}" ]]; then
        log_step "installing Cinder, the client and the project"
        rm -f "${VENV}/.stamp"
        start_ticker "installing"
    fi
    ensure_venv "${python}" "${VENV}" "${CINDER}" \
        -r "${ROOT}/test-requirements.txt" --editable "${ROOT}"
    stop_ticker
    printf '%s\n' "${inputs}" >"${VENV}/.inputs"
    exec {lock}<&-
}

trap stop_ticker EXIT
for argument in "$@"; do
    case ${argument} in
        -h|--help)
            sed -n '/^# Shows/,/^$/{s/^# \{0,1\}//;p}' "$0"
            exit 0;;
    esac
done
if [[ -z ${DEMO_VENV:-} ]]; then
    settle_version
    prepare
fi
cd "${ROOT}"
exec "${VENV}/bin/python" -m tests.embedded.demo "$@"
