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

"""The one table from what happened to what Cinder is told.

What Cinder does with a failed create depends on the class: those derived
from ``MetadataUpdateFailure`` are among the flow's ``no_reschedule_types``
(cinder/volume/flows/manager/create_volume.py), everything else is sent to
another attempt.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses

from cinder import exception
from cinder.i18n import _
from os_brick_ext.conn_props import InvalidConnectionProperties

from cinder_lightbits_federation import access
from cinder_lightbits_federation.copy import errors as copy_errors
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation import spec
from cinder_lightbits_federation.timing import DeadlineExceeded


class LightbitsBackendError(exception.VolumeBackendAPIException):
    """A cluster refused, failed or did not answer. May be tried again."""

    message = _('Lightbits federation: %(reason)s')


class LightbitsFinalError(exception.MetadataUpdateFailure):
    """Trying it again elsewhere would do harm, or no good."""

    message = _('Lightbits federation: %(reason)s')


class LightbitsConfigurationError(exception.VolumeDriverException):
    """An option is wrong."""

    message = _('Lightbits federation: %(reason)s')


class LightbitsConnectorError(exception.InvalidConnectorException):
    """A host cannot be admitted to a volume."""

    message = _('Lightbits federation: %(reason)s')


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What an error is told as; the error reference is made of these.

    :param cause: what has happened, and what may have.
    :param remedy: what to do about it.
    """

    known: type[Exception]
    told: type[exception.CinderException]
    cause: str
    remedy: str


# The first row that fits counts, so the special ones come first.
TABLE: tuple[Row, ...] = (
    Row(errors.InvalidConfiguration, LightbitsConfigurationError,
        'An option is wrong; the message names section and option.',
        'Correct the option; a wrong option of the backend section needs a '
        'restart.'),
    Row(errors.OutcomeUnknown, LightbitsFinalError,
        'A request was sent and its outcome could not be found out: the '
        'object may exist where its record says.',
        'Delete the volume or snapshot once the cluster answers; if '
        'anything is there, that removes it.'),
    Row(errors.RecordLost, LightbitsFinalError,
        'The record was changed or deleted while the operation ran; what '
        'the operation had made was removed.',
        'Look at the record; repeat the operation if it is still wanted.'),
    Row(errors.NameTaken, LightbitsFinalError,
        'An object on the cluster has the name already and nothing proves '
        'that it is ours; it was left alone.',
        'Find out whose it is; rename or remove it on the cluster.'),
    Row(errors.IdentityMismatch, LightbitsFinalError,
        'What is at the recorded place is not what was recorded; it was '
        'left alone.',
        'Find out who has replaced or renamed it; compare with the audit.'),
    Row(errors.UnknownCluster, LightbitsFinalError,
        'A record names a cluster that no usable section stands for.',
        'Restore the section, or wait until the cluster was reached; to '
        'give a cluster up, declare it lost.'),
    Row(copy_errors.Touched, LightbitsFinalError,
        'The volume was attached or changed while it was copied to another '
        'cluster. It stays where it was; what was copied is removed.',
        'Move it when nobody uses it; openstack volume migrate '
        '--lock-volume keeps users away until then.'),
    Row(copy_errors.Unsuitable, LightbitsFinalError,
        'The data cannot be copied to that cluster as it is; nothing was '
        'made.',
        'Choose another cluster or another type; the message says what is '
        'in the way.'),
    Row(copy_errors.CopyError, LightbitsBackendError,
        'A copy between clusters was cancelled, failed, or was taken over '
        'by another host. The source is as it was.',
        'Read the message; ask for the move again, which goes on where '
        'the copy was.'),
    Row(errors.NoClusterFits, LightbitsBackendError,
        'No cluster could take the volume or its growth; the message has '
        'the reason of each. Nothing was made.',
        'Mend the reason: room, a pin of the type, a missing project or '
        'policy, a cluster that is away.'),
    Row(errors.ClusterUnavailable, LightbitsBackendError,
        'A cluster that may have the object does not answer; nothing was '
        'changed or forgotten.',
        'Repeat when the cluster is back; declare it lost if it never '
        'will be.'),
    Row(errors.StoreUnavailable, LightbitsBackendError,
        'The database that the services share does not answer, refuses the '
        'credentials, or was made by a newer release; the message says '
        'which.',
        'Mend the database or lightbits_store_connection; the service tries '
        'again.'),
    Row(errors.FederationError, LightbitsBackendError,
        'The cluster refused the operation or failed at it.',
        'Read what the cluster says in the message.'),
    Row(spec.InvalidSpec, LightbitsFinalError,
        'An extra spec of the volume type cannot be honoured.',
        'Correct the extra spec that the message names.'),
    Row(access.BeingMoved, LightbitsBackendError,
        'The volume is just leaving its cluster: nobody is admitted there '
        'any more, and it is neither grown nor snapshotted there.',
        'Ask again when the move has ended; if the service that moved it '
        'has died, ask for the move again, or cancel its job.'),
    Row(access.AccessError, LightbitsConnectorError,
        'The host cannot be admitted: its NQN or addresses are missing, '
        'malformed, or too many.',
        'Mend the host, or choose its addresses with '
        'lightbits_data_networks.'),
    Row(InvalidConnectionProperties, LightbitsBackendError,
        'The cluster lists an endpoint that is not an address.',
        'Correct the endpoints on the cluster.'),
    Row(lb_errors.Ambiguous, LightbitsFinalError,
        'A change was sent and no answer came; it may have been applied.',
        'Repeat the operation: it looks first at what is there.'),
    Row(lb_errors.LightbitsError, LightbitsBackendError,
        'The cluster did not answer, or it answered with an error; the '
        'message says which. Nothing was changed.',
        'Mend what the message says; repeat.'),
    Row(DeadlineExceeded, LightbitsBackendError,
        'The cluster accepted the operation and did not finish it in time.',
        'Look at the cluster; repeat the operation.'),
)

# What the federation raises.
KNOWN = tuple(row.known for row in TABLE)


def told_as(exc: Exception) -> exception.CinderException:
    """:returns: what to raise to Cinder for a known error."""
    row = next(row for row in TABLE if isinstance(exc, row.known))
    return row.told(reason=str(exc))


@contextlib.contextmanager
def translated(volume_id: str | None = None, snapshot_id: str | None = None
               ) -> Iterator[None]:
    """Turn what the federation raises into Cinder's exceptions.

    :param volume_id: an object that is proven missing is told as
        VolumeNotFound of this id,
    :param snapshot_id: or as SnapshotNotFound of this one.
    """
    try:
        yield
    except errors.ObjectMissing as exc:
        if snapshot_id is not None:
            raise exception.SnapshotNotFound(
                snapshot_id=snapshot_id) from exc
        raise exception.VolumeNotFound(volume_id=volume_id) from exc
    except KNOWN as exc:
        raise told_as(exc) from exc
