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

"""From an attachment to the properties a host connects by."""

from __future__ import annotations

from os_brick_ext.conn_props import ConnectionProperties
from os_brick_ext.conn_props import DiscoveryNode

from cinder_lightbits_federation.attachments import Attachment


def properties(attachment: Attachment) -> ConnectionProperties:
    """:returns: what a host needs, with what the cluster says of itself.

    :raises InvalidConnectionProperties: the cluster lists an endpoint that
        is no address.
    """
    nodes: dict[str, DiscoveryNode] = {}
    for endpoint in attachment.info.discovery_endpoints:
        node = DiscoveryNode.at(endpoint)
        nodes.setdefault(node.address, node)
    return ConnectionProperties(
        volume_uuid=attachment.volume_uuid,
        subsystem_nqn=attachment.info.subsystem_nqn,
        nodes=tuple(nodes.values()), cluster_uuid=attachment.info.uuid,
        cluster_name=attachment.cluster,
        nvme_endpoints=attachment.info.nvme_endpoints)
