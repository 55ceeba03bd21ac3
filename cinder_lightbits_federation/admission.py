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
import uuid

from cinder.objects import fields

from cinder_lightbits_federation.attached import Attached
from cinder_lightbits_federation.attached import attachments_of
from cinder_lightbits_federation.attachments import NOT_ADMITTED
from cinder_lightbits_federation import errors

LOG = logging.getLogger(__name__)

_STATUS = fields.VolumeAttachStatus
# A property of a host that no connector has.
_MARK = 'being_admitted'


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

    Cinder does not tell which attachment is meant. Where several are
    reserved, for a volume of many servers, all say so until the host has
    been admitted; then Cinder records the right one. Nothing is recorded
    with the attach API of before, which reserves none.
    """
    waiting = [item for item in attachments if not item.connector
               and item.status == _STATUS.RESERVED]
    text = _text(connector, len(waiting) > 1)
    claimed = [item for item in waiting if _claim(item, text)]
    try:
        yield
    except NOT_ADMITTED:
        _take_back(claimed, text)
        raise
    if len(waiting) > 1:
        _take_back(claimed, text)
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


def _text(connector: Mapping[str, Any], passing: bool) -> str:
    """What an attachment has while the host is being admitted.

    :param passing: whether it is taken back in any case. Then it differs
        from all that Cinder writes for the same host meanwhile.
    """
    mark = {_MARK: uuid.uuid4().hex} if passing else {}
    return json.dumps({**connector, **mark})


def _claim(attachment: Attached, text: str) -> bool:
    return attachment.update(
        {'attach_status': _STATUS.ATTACHING, 'connector': text},
        {'attach_status': _STATUS.RESERVED, 'connector': None})


def _take_back(claimed: Sequence[Attached], text: str) -> None:
    for item in claimed:
        done = item.update(
            {'attach_status': _STATUS.RESERVED, 'connector': None},
            {'attach_status': _STATUS.ATTACHING, 'connector': text})
        if not done:
            LOG.info('Attachment %s was changed by somebody else meanwhile.',
                     item.id)
