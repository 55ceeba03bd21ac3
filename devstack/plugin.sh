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

# Called by DevStack in each of its phases: plugin.sh MODE [PHASE]

source "$LIGHTBITS_DIR/devstack/lib/lightbits"

# A node that has only nova-compute gets the host side.
if is_service_enabled cinder n-cpu; then
    case "$1 ${2:-}" in
        "stack pre-install")
            check_lightbits_settings
            prepare_lightbits_host
            ;;
        "stack install")
            install_lightbits
            ;;
        "stack post-config")
            prepare_lightbits_clusters
            configure_lightbits_connectors
            configure_lightbits_copies
            ;;
        "stack extra")
            start_lightbits_volume_service
            create_lightbits_volume_types
            ;;
        "stack test-config")
            configure_lightbits_tempest
            ;;
        "unstack ")
            stop_lightbits_volume_service
            cleanup_lightbits_connectors
            ;;
        "clean ")
            cleanup_lightbits
            ;;
    esac
fi
