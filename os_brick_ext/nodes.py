# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Asking discovery services where a cluster's nodes are."""

from __future__ import annotations

import collections

from os_brick_ext import conn_props
from os_brick_ext import fabrics
from os_brick_ext import host
from os_brick_ext import probe
from os_brick_ext import timing
from os_brick_ext import ways

# However many services refer to others, and those to others.
MOST_SERVICES = 32


class Discovery:
    """Asks discovery services, and those that they refer to.

    :param probe_timeout: seconds to wait for one to begin to talk.
    """

    def __init__(self, root: ways.Root, probe_timeout: float) -> None:
        self._root = root
        self._probe_timeout = probe_timeout

    def endpoints(self, props: conn_props.ConnectionProperties,
                  identity: host.Identity, deadline: timing.Deadline,
                  problems: dict[str, str]) -> set[str]:
        """:returns: what the first service says that knows the cluster.

        Each is asked once. One that does not know the cluster may refer to
        others, which are asked after those that the properties name.

        :param deadline: when it is over, no more of them are asked.
        :param problems: takes up which services were of no use, and why.
            Those at addresses that are in it are asked last.
        """
        silent = {conn_props.split_endpoint(endpoint, 'endpoint')[0]
                  for endpoint in problems}
        waiting = collections.deque(
            conn_props.join_endpoint(node.address, node.port)
            for node in sorted(
                props.nodes, key=lambda node: node.address in silent))
        seen = set(waiting)
        while waiting and not deadline.expired():
            service = waiting.popleft()
            try:
                page = self._page(service, identity)
                found = fabrics.log_endpoints(page, props.subsystem_nqn)
                # Who knows the cluster need not know others as well.
                referred = () if found else fabrics.log_referrals(page)
            except (OSError, ValueError) as exc:
                problems[service] = str(exc)
                continue
            if found:
                return set(found)
            problems[service] = f'does not know {props.subsystem_nqn}'
            for other in referred:
                if other not in seen and len(seen) < MOST_SERVICES:
                    seen.add(other)
                    waiting.append(other)
        return set()

    def _page(self, service: str, identity: host.Identity) -> str:
        """:raises OSError: it does not answer, or nvme-cli is missing."""
        address, port = conn_props.split_endpoint(service, 'endpoint')
        why = probe.speaks_nvme(address, port, self._probe_timeout)
        if why is not None:
            raise ConnectionError(why)
        return self._root.discovery_log(
            address, port, identity.nqn, identity.host_id)
