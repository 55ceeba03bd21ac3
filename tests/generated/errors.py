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

"""The error reference, from the driver's table and Cinder's messages."""

from __future__ import annotations

from collections.abc import Iterator

from cinder import exception
from cinder.message import message_field

from cinder_lightbits_federation import exception as lb_exception

TITLE = 'Error reference'
HEADER = ('Error', 'Told Cinder as', 'Tried again', 'What has happened',
          'What to do')
WIDTHS = (16, 20, 10, 32, 28)

# What the users of Cinder's API read, by operation: fixed texts of Cinder
# that no driver can add to (cinder/message/message_field.py).
_USER_MESSAGES = (
    ('creating a volume', message_field.Detail.DRIVER_FAILED_CREATE),
    ('extending a volume', message_field.Detail.DRIVER_FAILED_EXTEND),
    ('taking a snapshot', message_field.Detail.SNAPSHOT_CREATE_ERROR),
    ('deleting a snapshot', message_field.Detail.SNAPSHOT_DELETE_ERROR))

INTRO = ('The log of cinder-volume has each of these as "Lightbits '
         'federation: ..." with the cluster and the cause. "Tried again" '
         'says whether Cinder sends a failed create to a further attempt.'
         '\n\nUsers read a fixed text of Cinder ("openstack volume message '
         'list"), by operation: '
         + '; '.join(f'{what}: "{text}"' for what, (_id, text)
                     in _USER_MESSAGES)
         + '. Deleting a volume, attaching and detaching leave none: the '
         'status of the volume and the answer of the API say it.')


def _again(told: type[exception.CinderException]) -> str:
    if issubclass(told, (lb_exception.LightbitsConfigurationError,
                         lb_exception.LightbitsConnectorError)):
        return '-'  # Does not arise in creates.
    final = issubclass(told, exception.MetadataUpdateFailure)
    return 'no' if final else 'yes'


def rows() -> Iterator[tuple[str, ...]]:
    """:returns: the rows of the table."""
    for row in lb_exception.TABLE:
        yield (row.known.__name__, row.told.__name__, _again(row.told),
               row.cause, row.remedy)
