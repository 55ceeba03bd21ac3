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

# Measures the driver against simulated clusters and prints tables.
#
#   tools/bench.sh                      all sections but attach, copy
#   tools/bench.sh calls                REST calls and TLS handshakes
#   tools/bench.sh operations           costs beside Cinder's own driver
#   tools/bench.sh clusters             many clusters, dead and slow ones
#   tools/bench.sh scale                100 clusters, 100,000 volumes
#   tools/bench.sh exporter             scrapes of 32 clusters and 20,000
#                                       volumes
#   tools/bench.sh profiles             where the CPU time goes
#   tools/bench.sh attach               attachments beside os-brick's own, on
#                                       a real kernel; takes long
#   tools/bench.sh copy                 copying a volume; as root, with loop
#                                       devices
#   tools/bench.sh blackhole            one cluster that swallows everything
#   tools/bench.sh policies             bursts of creates, placed in other ways
#   tools/bench.sh placement            three services fill eight clusters
#   tools/bench.sh services             many creates beside Cinder's driver
#   tools/bench.sh --quick ...          fewer cases and repetitions
#   tools/bench.sh --repetitions N ...  of operations and clusters
#   tools/bench.sh --json FILE ...      also write the figures to FILE

set -o errexit -o nounset -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${ROOT}/.venv-test

source "${ROOT}/tools/lib/tox.sh"

PROFILES=(test)
if [[ " $* " == *' attach '* ]]; then
    PROFILES+=(vm)
fi

help_if_asked "$@"
cd "${ROOT}"
prepare_tox "${PROFILES[@]}"
exec "${VENV}/bin/tox" run --quiet -e venv -- python -m tests.bench "$@"
