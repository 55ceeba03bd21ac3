# shellcheck shell=bash
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

# What the scripts have in common that run tox. They have set ROOT and VENV.

source "${ROOT}/tools/lib/log.sh"
source "${ROOT}/tools/lib/packages.sh"
source "${ROOT}/tools/lib/venv.sh"

# Print what the script says of itself below its licence.
function show_help {
    awk -v RS= 'NR == 2' "$0" | sed 's/^# \{0,1\}//'
}

# Do so and end, if that is asked for. $@: the script's arguments.
function help_if_asked {
    local argument
    for argument in "$@"; do
        case ${argument} in
            -h|--help)
                show_help
                exit 0;;
        esac
    done
}

# Have tox, and Debian's packages for some profiles of bindep.txt. $@: those.
function prepare_tox {
    local python profile
    python=$(find_python) || die "Python 3.11 or newer is needed"
    ensure_venv "${python}" "${VENV}" 'tox>=4.11' 'bindep>=2.11'
    for profile in "$@"; do
        install_missing_packages "${VENV}/bin/bindep" "${ROOT}/bindep.txt" \
            "${profile}"
    done
}
