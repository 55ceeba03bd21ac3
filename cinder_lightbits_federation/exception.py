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

from cinder import exception
from cinder.i18n import _
from os_brick_ext.conn_props import InvalidConnectionProperties

from cinder_lightbits_federation import access
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


_TABLE: tuple[tuple[type[Exception], type[exception.CinderException]],
              ...] = (
    (errors.InvalidSetting, LightbitsConfigurationError),
    (errors.OutcomeUnknown, LightbitsFinalError),
    (errors.RecordLost, LightbitsFinalError),
    (errors.NameTaken, LightbitsFinalError),
    (errors.IdentityMismatch, LightbitsFinalError),
    (errors.UnknownCluster, LightbitsFinalError),
    (errors.FederationError, LightbitsBackendError),
    (spec.InvalidSpec, LightbitsFinalError),
    (access.AccessError, LightbitsConnectorError),
    (InvalidConnectionProperties, LightbitsBackendError),
    (lb_errors.Ambiguous, LightbitsFinalError),
    (lb_errors.LightbitsError, LightbitsBackendError),
    (DeadlineExceeded, LightbitsBackendError),
)

_KNOWN = tuple(known for known, _told in _TABLE)


def told_as(exc: Exception) -> exception.CinderException:
    """:returns: what to raise to Cinder for a known error."""
    told = next(told for known, told in _TABLE if isinstance(exc, known))
    return told(reason=str(exc))


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
    except _KNOWN as exc:
        raise told_as(exc) from exc
