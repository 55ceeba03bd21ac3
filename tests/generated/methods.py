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

"""Cinder's optional driver methods: who has them."""

from __future__ import annotations

from collections.abc import Iterator

from cinder.volume import driver

from cinder_lightbits_federation.driver import LightbitsFederationDriver

PEERS = ('RBD', 'Pure NVMe', 'ONTAP NVMe', 'PowerFlex', 'PowerStore',
         'SolidFire', 'StorPool', '3PAR iSCSI', 'LINSTOR', 'LightOS')
TITLE = 'Optional methods of volume drivers'
HEADER = ('Method', 'this driver', *PEERS)
WIDTHS = (28, *(7 for _peer in HEADER[1:]))
INTRO = ('Which of the methods that a Cinder volume driver may leave out are '
         'overridden, here and in ten drivers of Cinder 29 (by importing '
         'their classes). All have the others: create, delete, clone, '
         'snapshot, extend, attach.')

# Columns in the order of PEERS, x for a class that overrides the method.
_TABLE = """
clone_image                    x - - - - - - - - -
copy_image_to_volume           x - - - - - - x - -
migrate_volume                 x - - x - x - x x -
update_migrated_volume         x - - x - - x x - -
retype                         x x - - - x x x - x
revert_to_snapshot             x x - x x x x x - -
manage_existing                x x - x - x - x - -
get_manageable_volumes         x x - x - - - x - -
manage_existing_snapshot       x x - x - - - x - -
get_manageable_snapshots       x x - - - - - x - -
create_group                   - x x x x x - x - -
failover_host                  x x - x x x - x - -
failover_completed             x x - x x x - - - -
enable_replication             - x - - - - - x - -
freeze_backend                 - - - - - x - - - -
initialize_connection_snapshot - - - x - - - - - -
get_backup_device              x - - - - - - - - -
validate_connector             - - - - - - x - - -
update_provider_info           - x - - - x - - - x
accept_transfer                - - - - - x - - - -
get_pool                       - - x - - - x x - -
get_default_filter_function    - - x - - - - - - -
get_default_goodness_function  - - x - - - - - - -
_init_vendor_properties        - - - x x x - x - x
clean_volume_file_locks        - - - - - - - x - -
"""


def ours(method: str) -> bool:
    """Whether this driver overrides a method with something of its own."""
    if method == 'update_migrated_volume':
        return False  # Overridden, to leave it to Cinder.
    own = getattr(LightbitsFederationDriver, method, None)
    base = getattr(driver.VolumeDriver, method, None)
    return (own is not None and getattr(own, '__func__', own)
            is not getattr(base, '__func__', base))


def rows() -> Iterator[tuple[str, ...]]:
    """:returns: the rows of the table."""
    totals = [0] * (1 + len(PEERS))
    for line in _TABLE.strip().splitlines():
        method, *peers = line.split()
        cells = ('x' if ours(method) else '-', *peers)
        totals = [total + (cell == 'x')
                  for total, cell in zip(totals, cells, strict=True)]
        yield (f'``{method}``', *cells)
    yield ('in all', *(str(total) for total in totals))
