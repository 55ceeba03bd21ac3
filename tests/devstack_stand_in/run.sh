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

# Calls the plugin as stack.sh, unstack.sh or clean.sh does, in their order.
#
#   run.sh stack|unstack|clean FOLDER
#
# FOLDER has a file localrc and takes the place of /etc and of the data
# folder.

set -o errexit -o nounset -o pipefail

MODE=$1
STAND_IN=$2
PLUGIN=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../devstack" && pwd)

source "$(dirname "${BASH_SOURCE[0]}")/system.sh"
source "$(dirname "${BASH_SOURCE[0]}")/functions.sh"

# What stackrc sets and a user changes in localrc.
DATA_DIR=${STAND_IN}/data
STACK_USER=$(id -un)
HOST_IP=127.0.0.1
SERVICE_HOST=127.0.0.1
SERVICE_TIMEOUT=60
ETCD_PORT=2379
GLOBAL_VENV=True
ENABLED_SERVICES=c-api,c-sch,c-vol,n-cpu,tempest
source "${STAND_IN}/localrc"

# clean.sh asks no plugin for its defaults.
if [[ ${MODE} != clean ]]; then
    source "${PLUGIN}/override-defaults"
fi

# What the libraries of the services set.
CINDER_BIN_DIR=${STAND_IN}/bin
CINDER_CONF_DIR=${STAND_IN}/etc/cinder
CINDER_CONF=${CINDER_CONF_DIR}/cinder.conf
CINDER_ENABLED_BACKENDS=${CINDER_ENABLED_BACKENDS:-lvm:lvmdriver-1}
NOVA_CONF_DIR=${STAND_IN}/etc/nova
NOVA_CONF=${NOVA_CONF_DIR}/nova.conf
NOVA_CPU_CONF=${NOVA_CONF_DIR}/nova-cpu.conf
GLANCE_CONF_DIR=${STAND_IN}/etc/glance
GLANCE_API_CONF=${GLANCE_CONF_DIR}/glance-api.conf
TEMPEST_CONFIG=${STAND_IN}/etc/tempest.conf

source "${PLUGIN}/settings"

# Call function $1 of each backend whose type has one.
function each_backend {
    local backend
    for backend in ${CINDER_ENABLED_BACKENDS//,/ }; do
        if declare -F "$1_cinder_backend_${backend%%:*}" >/dev/null; then
            "$1_cinder_backend_${backend%%:*}" "${backend##*:}"
        fi
    done
}

# The parts of lib/cinder and lib/nova that the plugin meets.
function configure_services {
    local backend names=""
    rm -f "${CINDER_CONF}" "${NOVA_CONF}"
    rm -rf "${CINDER_CONF_DIR}/rootwrap.d" "${NOVA_CONF_DIR}/rootwrap.d"
    mkdir -p "${NOVA_CONF_DIR}" "${GLANCE_CONF_DIR}"
    iniset "${NOVA_CONF}" oslo_messaging_notifications driver messagingv2
    iniset "${GLANCE_API_CONF}" oslo_messaging_notifications driver messagingv2
    if ! is_service_enabled cinder; then
        return
    fi
    mkdir -p "${CINDER_CONF_DIR}"
    iniset "${CINDER_CONF}" DEFAULT rpc_response_timeout 120
    iniset "${CINDER_CONF}" database connection \
        "mysql+pymysql://root:database@127.0.0.1/cinder?charset=utf8"
    if is_service_enabled c-vol; then
        each_backend configure
        for backend in ${CINDER_ENABLED_BACKENDS//,/ }; do
            names+=,${backend##*:}
        done
        iniset "${CINDER_CONF}" DEFAULT enabled_backends "${names#,}"
    fi
    if [[ -n ${CINDER_COORDINATION_URL:-} ]]; then
        iniset "${CINDER_CONF}" coordination backend_url \
            "${CINDER_COORDINATION_URL}"
    fi
}

function stack {
    source "${PLUGIN}/plugin.sh" stack pre-install
    configure_services
    source "${PLUGIN}/plugin.sh" stack install
    source "${PLUGIN}/plugin.sh" stack post-config
    source "${PLUGIN}/plugin.sh" stack extra
    source "${PLUGIN}/plugin.sh" stack test-config
    echo "services: ${ENABLED_SERVICES}"
}

function unstack {
    source "${PLUGIN}/plugin.sh" unstack
    if is_service_enabled c-vol; then
        each_backend cleanup
    fi
}

function clean {
    bash "${BASH_SOURCE[0]}" unstack "${STAND_IN}"
    source "${PLUGIN}/plugin.sh" clean
    each_backend cleanup
}

"${MODE}"
