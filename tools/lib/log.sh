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

# What the tools print, also while they wait for each other. To be sourced.

LOG_STARTED=${EPOCHSECONDS}

# One line of progress, with the time since the start in minutes:seconds.
function log_step {
    local elapsed
    elapsed=$((EPOCHSECONDS - LOG_STARTED))
    printf '[%02d:%02d] %s\n' $((elapsed / 60)) $((elapsed % 60)) "$*"
}

# Lock an open file, and say so when that means to wait. $1: its descriptor,
# $2: what another run does that has locked it.
function take_turn {
    if ! flock --nonblock "$1"; then
        log_step "waiting for another run, which $2"
        flock "$1"
    fi
}

# A message on standard error; the script ends with status 1.
function die {
    printf 'ERROR: %s\n' "$*" >&2
    exit 1
}
