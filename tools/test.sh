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

# Runs the project's checks and tests on a machine that has Python 3.11 or
# newer; everything else is installed: Debian packages by apt-get, the rest
# into virtual environments inside the checkout, which later runs reuse.
#
#   tools/test.sh                                   everything; "vm" only
#                                                   if QEMU can be installed
#   tools/test.sh pep8 py3                          these tox environments
#   tools/test.sh py3 -- tests.unit.test_location   what follows -- is stestr's
#
# The last line is "N passed, N failed, N skipped"; the exit status is zero
# when nothing failed.

set -o errexit -o nounset -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${ROOT}/.venv-test
LOGS=${VENV}/logs

source "${ROOT}/tools/lib/tox.sh"
source "${ROOT}/tools/lib/summary.sh"

ENVIRONMENTS=()
POSARGS=()
FULL_RUN=0
NOTES=()

function has_functional_tests {
    compgen -G "${ROOT}/tests/functional/test_*.py" >/dev/null
}

function parse_arguments {
    while [[ $# -gt 0 && $1 != -- ]]; do
        case $1 in
            -h|--help)
                show_help
                exit 0;;
            -*)
                die "unknown option $1 (stestr's arguments follow --)";;
            *)
                ENVIRONMENTS+=("$1");;
        esac
        shift
    done
    POSARGS=("$@")
    if [[ ${#ENVIRONMENTS[@]} -eq 0 ]]; then
        [[ ${#POSARGS[@]} -gt 0 ]] || FULL_RUN=1
        ENVIRONMENTS=(pep8 py3 py3-threading docs)
        if has_functional_tests; then
            ENVIRONMENTS+=(functional)
        fi
    fi
}

# Add the tests in the virtual machine to a full run, if they can run here.
function add_vm {
    if try_install_missing_packages "${VENV}/bin/bindep" \
        "${ROOT}/bindep.txt" vm; then
        ENVIRONMENTS+=(vm)
    else
        NOTES+=("vm             skipped: QEMU cannot be installed here")
    fi
}

# pbr and pre-commit ask git, which refuses a checkout of another user.
function trust_checkout {
    export GIT_CONFIG_COUNT=1
    export GIT_CONFIG_KEY_0=safe.directory
    export GIT_CONFIG_VALUE_0=${ROOT}
    git rev-parse --git-dir >/dev/null \
        || die "${ROOT} is not a git checkout (see CONTRIBUTING.rst)"
}

# Runs in one checkout share environments, results and the folder of the
# virtual machine.
function wait_for_others {
    exec {TURN}<"${ROOT}/tools/test.sh"
    take_turn "${TURN}" "uses this checkout"
}

function prepare {
    prepare_tox test
    trust_checkout
    mkdir -p "${LOGS}"
    if [[ ${FULL_RUN} -eq 1 ]]; then
        add_vm
    elif [[ " ${ENVIRONMENTS[*]} " == *' vm '* ]]; then
        install_missing_packages "${VENV}/bin/bindep" \
            "${ROOT}/bindep.txt" vm
    fi
}

# Whether an environment runs tests, by what it does rather than by a list.
function kind_of {
    if "${VENV}/bin/tox" config -q -e "$1" -k commands 2>/dev/null \
        | grep -q -e 'stestr .* run' -e 'tests\.vm\.run'; then
        echo tests
    else
        echo checks
    fi
}

# Tests wait for services and clusters about half of their time, so more of
# them run side by side than there are cores.
function workers_for {
    local cores
    cores=$(nproc)
    case $1 in
        functional) echo $((cores * 3 / 2));;
        *) echo $((cores * 2));;
    esac
}

# Run one environment, showing and keeping its output.
function run_environment {
    local name=$1 started=${EPOCHSECONDS} status=0
    local log=${LOGS}/${name}.log
    log_step "tox -e ${name}"
    TEST_WORKERS=${TEST_WORKERS:-$(workers_for "${name}")} \
        "${VENV}/bin/tox" run -e "${name}" ${POSARGS[@]+"${POSARGS[@]}"} \
        {TURN}<&- 2>&1 \
        | tee "${log}" || status=$?
    RESULTS+=("$(printf '%s|%s|%s|%s|%s' "${name}" "${status}" "${log}" \
        $((EPOCHSECONDS - started)) "$(kind_of "${name}")")")
}

function print_summary {
    local result fields
    printf '\n'
    for result in "${RESULTS[@]}"; do
        IFS='|' read -r -a fields <<<"${result}"
        count_environment "${fields[@]}"
    done
    if [[ ${#NOTES[@]} -gt 0 ]]; then
        printf '%s\n' "${NOTES[@]}"
    fi
    printf '%d passed, %d failed, %d skipped\n' \
        "${PASSED}" "${FAILED}" "${SKIPPED}"
}

RESULTS=()
parse_arguments "$@"
cd "${ROOT}"
wait_for_others
prepare
for environment in "${ENVIRONMENTS[@]}"; do
    run_environment "${environment}"
done
print_summary
[[ ${FAILED} -eq 0 ]]
