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

# The plugin under DevStack's own libraries: what stack.sh, unstack.sh and
# clean.sh do with a plugin and with Cinder, in their order.
#
#   unshare --mount --map-root-user libraries.sh stack|unstack|clean FOLDER
#
# FOLDER/devstack is a tree of links to DevStack with a file localrc; what
# changes in /etc gets into FOLDER/etc. Installations are written to
# FOLDER/calls, and units of systemd are started without it.

set -o errexit

MODE=$1
STAND_IN=$2
TOP_DIR=${STAND_IN}/devstack
FILES=${TOP_DIR}/files

# clean.sh starts unstack.sh.
if ! mountpoint -q /etc; then
    mkdir -p "${STAND_IN}/etc" "${STAND_IN}/overlay"
    mount -t overlay overlay -o \
        "lowerdir=/etc,upperdir=${STAND_IN}/etc,workdir=${STAND_IN}/overlay" \
        /etc
fi
mkdir -p /etc/sudoers.d

source "$(dirname "${BASH_SOURCE[0]}")/system.sh"

# As the exit trap of stack.sh: what runs in the background ends, too.
function end_jobs {
    local status=$? jobs
    jobs=$(cat "${STAND_IN}"/dest/async/*.ini 2>/dev/null \
        | sed -n 's/^pid = \([0-9]*\)$/\1/p')
    [[ -z ${jobs} ]] || pkill -P "${jobs//$'\n'/,}" || true
    exit "${status}"
}
trap end_jobs EXIT

# Where DevStack's systemctl would ask systemd.
function systemctl {
    local file=/etc/systemd/system/${2:-}
    local wanted=/etc/systemd/system/multi-user.target.wants/${2:-}
    local name=${2#devstack@}
    name=${name%.service}
    case $1 in
        daemon-reload) ;;
        enable) install -D /dev/null "${wanted}" ;;
        disable) rm -f "${wanted}" ;;
        is-enabled) [[ -e ${wanted} ]] ;;
        start)
            start_daemon "${name}" "$(iniget "${file}" Service ExecStart)" \
                "$(iniget "${file}" Service Environment)"
            ;;
        stop) stop_daemon "${name}" ;;
        *) die $LINENO "no such command: systemctl $*" ;;
    esac
}

# Not on every machine, and Neutron's library asks for one.
function uuidgen {
    cat /proc/sys/kernel/random/uuid
}

# What is not there: web server, packages, images, and Tempest itself.
function leave_out {
    local name
    for name in write_uwsgi_config remove_uwsgi_config install_tempest \
            configure_tempest install_tempest_plugins; do
        eval "function ${name} { :; }"
    done
    function install_package {
        call_made install_package "$@"
    }
}

function source_libraries {
    local name
    for name in "$@"; do
        source "${TOP_DIR}/lib/${name}"
    done
}

function stack {
    source "${TOP_DIR}/functions"
    source_libraries stack
    GetDistro
    source "${TOP_DIR}/stackrc"
    async_init
    source_libraries database rpc_backend
    fetch_plugins
    run_phase override_defaults
    source_libraries apache tls infra libraries lvm horizon keystone glance \
        nova placement cinder swift neutron ldap dstat atop tcpdump etcd3 \
        os-vif
    run_phase source
    leave_out
    setup_devstack_virtualenv

    run_phase stack pre-install
    configure_others
    if is_service_enabled cinder; then
        configure_cinder
        init_os_brick
    fi
    run_phase stack install
    if is_service_enabled cinder; then
        async_runfunc init_cinder
        async_wait init_cinder
    fi
    run_phase stack post-config
    merge_config_group "${TOP_DIR}/local.conf" post-config
    start_volume_service
    run_phase stack extra
    run_phase stack test-config
    echo "services: ${ENABLED_SERVICES}"
}

# As the libraries of Nova and Glance, where the plugin changes their files.
function configure_others {
    mkdir -p "${NOVA_CONF_DIR}" "${GLANCE_CONF_DIR}"
    rm -f "${NOVA_CONF}" "${GLANCE_API_CONF}"
    iniset "${NOVA_CONF}" oslo_messaging_notifications driver messagingv2
    iniset "${GLANCE_API_CONF}" oslo_messaging_notifications driver messagingv2
}

# As start_cinder and "openstack" do, where there is something to serve.
function start_volume_service {
    if [[ ${SERVE_VOLUMES:-False} == True ]]; then
        unset -f openstack
        run_process c-vol \
            "${CINDER_BIN_DIR}/cinder-volume --config-file ${CINDER_CONF}"
    fi
}

function unstack {
    source "${TOP_DIR}/functions"
    source_libraries database
    source "${TOP_DIR}/openrc"
    DATA_DIR=${DATA_DIR:-${DEST}/data}
    GetDistro
    run_phase override_defaults
    source_libraries apache tls infra lvm horizon keystone glance nova \
        placement cinder swift neutron ldap dstat atop tcpdump etcd3
    load_plugin_settings
    leave_out
    run_phase unstack
    if is_service_enabled cinder; then
        stop_cinder || /bin/true
        cleanup_cinder || /bin/true
    fi
}

# It asks no plugin for its defaults.
function clean {
    source "${TOP_DIR}/functions"
    source "${TOP_DIR}/openrc"
    GetDistro
    source_libraries apache ldap database rpc_backend tls libraries lvm \
        horizon keystone glance nova placement cinder swift neutron
    bash "${BASH_SOURCE[0]}" unstack "${STAND_IN}"
    load_plugin_settings
    leave_out
    run_phase clean
    cleanup_cinder || /bin/true
    rm -rf "${GLANCE_CONF_DIR}" "${NOVA_CONF_DIR}" "${CINDER_CONF_DIR}"
}

"${MODE}"
