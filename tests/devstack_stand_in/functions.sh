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

# What the plugin uses of DevStack, with the same contract: configuration
# files, services and processes, in a folder of its own instead of the
# system. Installations are written to ${STAND_IN}/calls.

# Messages

function echo_summary {
    echo "summary: $*"
}

function warn {
    echo "WARNING line $1: ${*:2}" >&2
}

function die {
    echo "ERROR line $1: ${*:2}" >&2
    exit 1
}

# Values

# Print True or False for what variable $2 says, $1 if it says nothing.
function trueorfalse {
    local value=${!2:-}
    case ${value,,} in
        1 | yes | true) echo True ;;
        0 | no | false) echo False ;;
        *) echo "$1" ;;
    esac
}

# Configuration files. Values lose doubled white space, as DevStack's do.

# Print the values of option $3 in section $2 of file $1, a line each.
function ini_values {
    awk -v section="[$2]" -v option="$3" '
        /^\[/ { inside = $0 == section }
        inside && match($0, "^" option "[ \t]*=[ \t]*") {
            print substr($0, RLENGTH + 1)
        }' "$1"
}

function iniget {
    ini_values "$@" | tail -n 1
}

function iniget_multiline {
    ini_values "$@" | paste -s -d ' '
}

function inidelete {
    awk -v section="[$2]" -v option="$3" '
        /^\[/ { inside = $0 == section }
        !(inside && $0 ~ "^" option "[ \t]*=")' "$1" >"$1.new"
    mv "$1.new" "$1"
}

function ini_add_line {
    local file=$1 section=$2
    touch "${file}"
    if ! grep -q -x -F "[${section}]" "${file}"; then
        printf '\n[%s]\n' "${section}" >>"${file}"
    fi
    LINE=$3 awk -v section="[${section}]" '
        { print }
        $0 == section { print ENVIRON["LINE"] }' "${file}" >"${file}.new"
    mv "${file}.new" "${file}"
}

function iniset {
    local words
    read -r -d '' -a words <<<"$4" || true
    if [[ -f $1 ]]; then
        inidelete "$1" "$2" "$3"
    fi
    ini_add_line "$1" "$2" "$3 = ${words[*]}"
}

function iniadd {
    ini_add_line "$1" "$2" "$3 = $4"
}

# Plugins and services

function define_plugin {
    :
}

function is_service_enabled {
    local service
    for service in "$@"; do
        if [[ ,${ENABLED_SERVICES}, == *,${service},* ]]; then
            return 0
        fi
        if [[ ${service} == cinder && ,${ENABLED_SERVICES} == *,c-* ]]; then
            return 0
        fi
    done
    return 1
}

function enable_service {
    local service
    for service in "$@"; do
        if ! is_service_enabled "${service}"; then
            ENABLED_SERVICES+=,${service}
        fi
    done
}

# Processes

# $1: service, $2: command without a shell's syntax, $5: its environment.
function run_process {
    if is_service_enabled "$1"; then
        if [[ $2 != /* || $2 == *sudo* ]]; then
            die $LINENO "run_process cannot start: $2"
        fi
        start_daemon "$1" "$2" "${5:-}"
    fi
}

function stop_process {
    if is_service_enabled "$1"; then
        stop_daemon "$1"
    fi
}

# $1: seconds, $2: URL whose port is to take connections.
function wait_for_service {
    local address=${2#http://}
    address=${address%%/*}
    timeout "$1" bash -c "until (exec 3<>/dev/tcp/${address/:/\/}) \
        2>/dev/null; do sleep 0.05; done"
}

# Installation

function setup_develop {
    call_made setup_develop "$@"
}

function pip_install {
    call_made pip_install "$@"
}

function pip_uninstall {
    call_made pip_uninstall "$@"
}

function install_package {
    call_made install_package "$@"
}
