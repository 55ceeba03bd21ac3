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

# What the plugin and DevStack ask of the system. Installations are written to
# ${STAND_IN}/calls.

function call_made {
    echo "$*" >>"${STAND_IN}/calls"
}

# Daemons. One that runs already is left alone, as systemd does.

function process_file {
    echo "${STAND_IN}/$1.pid"
}

# A process that has ended may stay a zombie where nobody waits for it.
function daemon_runs {
    [[ -f $(process_file "$1") ]] \
        && grep -q -s '^State:[[:space:]]*[^XZ]' \
        "/proc/$(<"$(process_file "$1")")/status"
}

# $1: name, $2: command, $3: its environment; with quotes, without variables.
function start_daemon {
    local command variables
    eval "command=($2)"
    eval "variables=(${3:-})"
    if ! daemon_runs "$1"; then
        (cd / && exec env -i PATH="${PATH}" "${variables[@]}" \
            setsid "${command[@]}" >"${STAND_IN}/$1.log" 2>&1 </dev/null) &
        echo $! >"$(process_file "$1")"
    fi
}

function stop_daemon {
    local tries
    if daemon_runs "$1"; then
        kill "$(<"$(process_file "$1")")"
        for ((tries = 0; tries < 200; tries++)); do
            daemon_runs "$1" || break
            sleep 0.05
        done
    fi
    rm -f "$(process_file "$1")"
}

# The user may do all of it already. Variables are for pip only.
function sudo {
    while [[ $1 == -H || $1 == *=* ]]; do
        shift
    done
    if [[ $1 == modprobe || "$1 $2" =~ ^python[0-9.]*\ -m ]]; then
        call_made "$@"
    else
        "$@"
    fi
}

# The client: a file of properties for each volume type.
function openstack {
    local folder=${STAND_IN}/types
    mkdir -p "${folder}"
    case "$1 $2 $3" in
        "volume type show")
            [[ -f ${folder}/$4 ]]
            ;;
        "volume type create")
            [[ ! -e ${folder}/$4 ]] && : >"${folder}/$4"
            ;;
        "volume type set")
            [[ -f ${folder}/$4 ]] || return 1
            printf '%s\n' "${@:5}" | grep -v -x -e --property \
                >"${folder}/$4"
            ;;
        *)
            die $LINENO "no such command: openstack $*"
            ;;
    esac
}
