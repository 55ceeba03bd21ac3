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

# Goes through Horizon in a browser as a user and as an administrator do, over
# simulated clusters, and compares what it shows with the clusters. Keystone,
# Horizon, Cinder, and the APIs of Glance and Nova are the released ones, the
# browser is Chromium; all on loopback ports, in a temporary folder.
#
#   tools/horizon.sh                     go through it, exit 0 if all held
#   tools/horizon.sh --pictures FOLDER   keep screenshots
#   tools/horizon.sh --threads           Cinder on native threads
#   tools/horizon.sh --keep              then serve until interrupted

set -o errexit -o nounset -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${ROOT}/.venv-test

source "${ROOT}/tools/lib/tox.sh"

help_if_asked "$@"
cd "${ROOT}"
prepare_tox test horizon
log_step "installing OpenStack, which takes a minute or two the first time"
exec "${VENV}/bin/tox" run --quiet -e horizon -- "$@"
