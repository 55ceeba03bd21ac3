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

# Python virtual environments for the tools. To be sourced, after log.sh and
# packages.sh.

# Print the Python to use: $PYTHON, else the first of the usual names that
# is new enough. Fails when there is none.
function find_python {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "${candidate}" -c \
            'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then
            command -v "${candidate}"
            return 0
        fi
    done
    return 1
}

# Make an empty virtual environment. $1: Python, $2: directory.
function create_venv {
    # Debian keeps what venv needs in packages of their own.
    "$1" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
    rm -rf "$2"
    "$1" -m venv "$2" || die "cannot create a virtual environment in $2"
}

# Have a virtual environment with the given distributions in it. It is made
# again when they or the interpreter have changed since.
# $1: Python, $2: directory, others: what pip is to install.
function ensure_venv {
    local python=$1 dir=$2 stamp
    shift 2
    stamp="$("${python}" -VV) $*"
    if [[ -f ${dir}/.stamp && $(<"${dir}/.stamp") == "${stamp}" ]]; then
        return 0
    fi
    log_step "creating ${dir}"
    create_venv "${python}" "${dir}"
    "${dir}/bin/python" -m pip install --quiet \
        --disable-pip-version-check "$@" \
        || die "pip could not install: $*"
    printf '%s' "${stamp}" >"${dir}/.stamp"
}
