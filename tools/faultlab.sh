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

# Breaks everything around three cinder-volume services for a while, lets an
# operator clean up, and compares Cinder's records with the clusters. Prints
# its seed; the same seed makes the same plan.
#
#   tools/faultlab.sh --minutes 10             a new seed
#   tools/faultlab.sh --minutes 10 --seed 7    what was done before
#   tools/faultlab.sh --plan --seed 7          only tell what would break
#   tools/faultlab.sh --coordination redis --threads
#   tools/faultlab.sh --report FILE --logs FOLDER
#
# Exit status 0 if nothing was lost, doubled, left behind or let in.

set -o errexit -o nounset -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${ROOT}/.venv-test

source "${ROOT}/tools/lib/tox.sh"

help_if_asked "$@"
cd "${ROOT}"
prepare_tox test
exec "${VENV}/bin/tox" run --quiet -e venv -- python -m tests.faultlab "$@"
