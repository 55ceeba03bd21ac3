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

"""Options of the host side, in section ``os_brick_ext``.

Address, port and folder of the discovery client are those that os-brick
itself declares in section ``os_brick``, since its release 7.0.
"""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg

GROUP = 'os_brick_ext'

AUTO = 'auto'
DISCOVERY_CLIENT = 'discovery-client'
NATIVE = 'native'

BRICK_GROUP = 'os_brick'

# Declared here where os-brick does not, with the values that it has fixed.
BRICK_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt('lightos_discovery_client_address',
                       default='localhost',
                       help='Address of the discovery client.'),
    cfg.PortOpt('lightos_discovery_client_port', default=6060,
                help='TCP port of the discovery client.'),
    cfg.StrOpt('lightos_discovery_client_dir_path',
               default='/etc/discovery-client/discovery.d/',
               help='Folder that the discovery client reads.'),
]

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'mode', default=AUTO,
        choices=[
            (AUTO, 'through the discovery client where its folder exists, '
                   'else natively'),
            (DISCOVERY_CLIENT, "through the vendor's discovery client, which "
                               'is told by one file per volume'),
            (NATIVE, 'by the kernel alone; the discovery client is not '
                     'needed and must not run')],
        help='How this host connects to Lightbits clusters.'),
    cfg.StrOpt(
        'lock_path',
        help='Folder of the locks by which the services of this host agree, '
             'the same for all that attach Lightbits volumes and writable '
             'for each. By default that of [os_brick] lock_path or '
             '[oslo_concurrency] lock_path, which packages set to another '
             'folder for each service.'),
    cfg.FloatOpt(
        'connect_timeout', default=60.0, min=1.0, max=600.0,
        help='Seconds within which a volume must appear on this host; waiting '
             'for other operations on the volume is part of them.'),
    cfg.FloatOpt(
        'early_failure_timeout', default=10.0, min=0.5, max=600.0,
        help='Seconds after which an attachment fails early if it is plain '
             'that the volume cannot appear: a kernel module is missing, '
             'the discovery client does not answer, nothing is connected '
             'to the cluster, or none of its nodes shows the volume to this '
             'host.'),
    cfg.FloatOpt(
        'extend_timeout', default=30.0, min=1.0, max=600.0,
        help='Seconds within which the new size of an extended volume must '
             'arrive on this host.'),
    cfg.FloatOpt(
        'disconnect_timeout', default=30.0, min=1.0, max=600.0,
        help='Seconds within which connections that are no longer needed '
             'must be gone, once the buffers of the volume are written.'),
    cfg.FloatOpt(
        'flush_timeout', default=120.0, min=1.0, max=600.0,
        help='Seconds within which the buffers of a volume must be written '
             'when it is detached.'),
    cfg.FloatOpt(
        'probe_timeout', default=2.0, min=0.1, max=30.0,
        help='Seconds to wait for the discovery client, or for one node of '
             'a cluster, to accept a connection and to begin to answer.'),
    cfg.IntOpt(
        'nr_io_queues', default=0, min=0, max=1024,
        help='I/O queues per connection to a node; 0 means one for each '
             'processor. Native mode only.'),
    cfg.IntOpt(
        'keep_alive_timeout', default=5, min=1, max=600,
        help='Seconds of silence after which the kernel takes a node for '
             'dead; I/O stalls for two to three times as long. Native mode '
             'only.'),
    cfg.IntOpt(
        'reconnect_delay', default=5, min=1, max=600,
        help='Seconds between the attempts to reach a node that was lost. '
             'Native mode only.'),
    cfg.IntOpt(
        'ctrl_loss_timeout', default=-1, min=-1, max=604800,
        help='Seconds after which a node that was lost is given up; -1 '
             'means never, 0 at once, with no attempt to reach it again. '
             'With the last one its volumes vanish from under their users, '
             'while until then I/O waits. Native mode only.'),
    cfg.IntOpt(
        'fast_io_fail_timeout', default=0, min=0, max=604800,
        help='Seconds after which I/O fails that has no node left to go to; '
             '0 means never: it waits until one returns or is given up. '
             'Other values need Linux 5.11 or newer. Native mode only.'),
]


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """:returns: (section, options) for the sample configuration."""
    return [(GROUP, OPTS)]
