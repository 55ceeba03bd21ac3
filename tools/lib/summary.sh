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

# Sums up runs of tox environments from what stestr printed. To be sourced.

PASSED=0
FAILED=0
SKIPPED=0

# Sum one line of the totals that each run of stestr ends with. Only lines
# inside such a block count, since a failing test may have printed anything.
# $1: the line's name, $2: the log.
function stestr_total {
    awk -v prefix=" - $1: " '
        $0 == "Totals" { inside = 1 }
        /^Sum of execute time/ { inside = 0 }
        inside && index($0, prefix) == 1 { sum += $NF }
        END { print sum + 0 }' "$2"
}

# Add an environment's tests to the totals and print its own line.
# An unsuccessful environment without a failed test counts as one failure,
# and so does one that should have run tests and ran none.
# $1: environment, $2: its exit status, $3: its log, $4: seconds it took,
# $5: "tests" when it runs tests.
function count_environment {
    local name=$1 status=$2 log=$3 seconds=$4 kind=$5
    local passed failed skipped note=''
    passed=$(($(stestr_total Passed "${log}") \
        + $(stestr_total 'Expected Fail' "${log}")))
    failed=$(($(stestr_total Failed "${log}") \
        + $(stestr_total 'Unexpected Success' "${log}")))
    skipped=$(stestr_total Skipped "${log}")
    if [[ ${kind} == tests && $((passed + failed)) -eq 0 ]]; then
        note=' (ran no test)'
        failed=1
    elif [[ ${status} -ne 0 && ${failed} -eq 0 ]]; then
        note=" (exit status ${status})"
        failed=1
    fi
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    SKIPPED=$((SKIPPED + skipped))
    local result=ok
    [[ ${failed} -eq 0 ]] || result=FAILED
    printf '%-14s %-6s %5d passed %3d failed %3d skipped %4d s%s\n' \
        "${name}" "${result}" "${passed}" "${failed}" "${skipped}" \
        "${seconds}" "${note}"
}
