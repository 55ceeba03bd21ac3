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
"""Who is about to be given access is in Cinder's records beforehand.

Cinder records the host of an attachment after the driver has admitted it. A
service that dies in between leaves an attachment that is only reserved, and
Cinder deletes such a one without asking the driver: the host would keep its
access for as long as the volume lives. The same goes for a request whose
outcome is not known. So what Cinder would record is recorded first. It is
looked at once more when the host is admitted: an attachment can be deleted
while it is being made, and then nobody would take the host's access away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import json
import logging
from typing import Any

from cinder.objects import fields

from cinder_lightbits_federation.attached import Attached
from cinder_lightbits_federation.attached import attachments_of
from cinder_lightbits_federation.attachments import NOT_ADMITTED
from cinder_lightbits_federation import errors

LOG = logging.getLogger(__name__)

_STATUS = fields.VolumeAttachStatus


@contextlib.contextmanager
def recorded(attachments: Sequence[Attached], connector: Mapping[str, Any],
             withdraw: Callable[[], object]) -> Iterator[None]:
    """Admit a host inside, with its attachment saying so already.

    :param attachments: of the volume, just read.
    :param withdraw: takes the host's access away again.
    :raises RecordLost: an attachment that this may be for was deleted
        meanwhile. The host has no access then.

    Taken back when the body fails in a way that proves that the host was not
    admitted; else the attachment has to be deleted in the usual way, which
    takes the host's access away.

    Nothing is recorded when it is not clear which attachment is meant:
    Cinder does not tell. That is when several are reserved, which needs a
    volume for many servers of which some are shelved, and with the attach
    API of before, which reserves none.
    """
    attachment = _meant(attachments, connector)
    if attachment is not None and not _claim(attachment, connector):
        attachment = None
    try:
        yield
    except NOT_ADMITTED:
        if attachment is not None:
            _take_back(attachment)
        raise
    if _deleted(attachments, connector):
        withdraw()
        raise errors.RecordLost(
            f'an attachment for host {connector.get("host")} was deleted '
            f'while it was being made')


def _deleted(before: Sequence[Attached], connector: Mapping[str, Any]) -> bool:
    """Whether one that was waiting is gone, and the host has no other."""
    waiting = {item.id: item for item in before if not item.connector}
    if not waiting:
        return False
    now = attachments_of(next(iter(waiting.values())).volume_id)
    if any(item.connector.get('nqn') == connector.get('nqn')
           for item in now):
        return False
    return not waiting.keys() <= {item.id for item in now}


def _meant(attachments: Sequence[Attached], connector: Mapping[str, Any]
           ) -> Attached | None:
    """The one attachment that a new host can be for, if there is just one."""
    known = [item.connector for item in attachments if item.connector]
    if any(item.get('nqn') == connector.get('nqn') for item in known):
        return None
    waiting = [item for item in attachments if not item.connector
               and item.status == _STATUS.RESERVED]
    return waiting[0] if len(waiting) == 1 else None


def _claim(attachment: Attached, connector: Mapping[str, Any]) -> bool:
    return attachment.update(
        {'attach_status': _STATUS.ATTACHING,
         'connector': json.dumps(dict(connector))},
        {'attach_status': _STATUS.RESERVED, 'connector': None})


def _take_back(attachment: Attached) -> None:
    done = attachment.update(
        {'attach_status': _STATUS.RESERVED, 'connector': None},
        {'attach_status': _STATUS.ATTACHING})
    if not done:
        LOG.info('Attachment %s was changed by somebody else meanwhile.',
                 attachment.id)
