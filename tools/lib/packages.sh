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

# Debian packages the tools need: found with bindep, installed with apt-get.
# To be sourced, after log.sh.

APT_UPDATED=0
SERVICE_POLICY=/usr/sbin/policy-rc.d
# Machines install something of their own when they start, and mirrors fail.
APT_OPTIONS=(-qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5)
APT_ATTEMPTS=3
APT_PAUSE=10

# Run a command as root: directly, or by a sudo that does not ask.
function as_root {
    if [[ ${EUID} -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        die "root is needed for: $*"
    fi
}

# Run a command while packages may not start the services they bring along:
# Debian asks SERVICE_POLICY. One that is there already is left alone.
function without_service_starts {
    local status=0
    if [[ -e ${SERVICE_POLICY} ]]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' \
        | as_root tee "${SERVICE_POLICY}" >/dev/null
    as_root chmod 0755 "${SERVICE_POLICY}"
    "$@" || status=$?
    as_root rm -f "${SERVICE_POLICY}"
    return "${status}"
}

# Fetch the package lists. Nothing makes apt-get wait for another one that
# does the same, so it is asked again.
function apt_update {
    local attempt
    for ((attempt = 1; attempt <= APT_ATTEMPTS; attempt++)); do
        log_step "apt-get update"
        if as_root apt-get update "${APT_OPTIONS[@]}"; then
            return
        fi
        [[ ${attempt} -eq ${APT_ATTEMPTS} ]] || sleep "${APT_PAUSE}"
    done
    die "apt-get update failed"
}

# Install the named packages without asking. The package lists are fetched
# once per run, and only when there is something to install. Runs take turns,
# whoever they are of: the first to end removes SERVICE_POLICY, on which
# another may still rely.
function apt_install {
    local turn
    command -v apt-get >/dev/null \
        || die "no apt-get here; please install what gives you: $*"
    exec {turn}<"$(dirname "${SERVICE_POLICY}")"
    take_turn "${turn}" "installs packages"
    if [[ ${APT_UPDATED} -eq 0 ]]; then
        apt_update
        APT_UPDATED=1
    fi
    log_step "apt-get install $*"
    # A process that is started here and stays must not keep the turn.
    (
        exec {turn}<&-
        without_service_starts as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y "${APT_OPTIONS[@]}" --no-install-recommends \
            "$@" >/dev/null
    ) || die "apt-get install failed: $*"
    exec {turn}<&-
}

# Install what bindep.txt lists for a profile and this machine lacks.
# $1: the bindep program, $2: bindep.txt, $3: the profile.
function install_missing_packages {
    local missing
    # The exit status only repeats whether something is missing.
    missing=$("$1" --brief --file "$2" "$3") || true
    if [[ -n ${missing} ]]; then
        # shellcheck disable=SC2086  # one word per package
        apt_install ${missing}
    fi
}

# The same for what is not needed everywhere: where it fails, the run goes on.
# In a subshell, which is what ends then.
function try_install_missing_packages {
    (install_missing_packages "$@")
}
