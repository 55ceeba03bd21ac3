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

"""Which services of a host use a volume.

Several may use one at the same time: Cinder copies a volume that a server
has, and both are on this host. What one of them is done with another may
still need. So each claims a volume before it connects its cluster, and gives
it up when it is done: a file beside the locks, for it outlives the service.
All processes of a service have one claim, since no process of it may live as
long as the use: the servers of ``nova-compute`` run on without it.

A service that dies leaves its claims, and a host that starts anew has those
of before. What such a claim does is to keep connections, or the file for the
discovery client, until its volume has left the host. From then on it means
nothing, and whoever comes next and may do so sweeps it away.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import os
import re
import sys

from oslo_config import cfg

from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import files
from os_brick_ext import locks
from os_brick_ext import sysfs
from os_brick_ext import timing

PREFIX = f'{locks.PREFIX}user-'
LONGEST_SERVICE = 64

_UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
_NAME = re.compile(
    f'{PREFIX}(?P<cluster>[0-9a-f]{{32}})[.](?P<volume>{_UUID})[.]'
    f'(?P<service>[A-Za-z0-9_-]{{1,{LONGEST_SERVICE}}})')


def service() -> str:
    """:returns: what tells this service from others of its host.

    It is the same after a restart, and for all processes of a service.
    """
    # Known once the service has read its configuration.
    project = getattr(cfg.CONF, 'project', None) or ''
    program = os.path.basename(sys.argv[0]).removesuffix('.py')
    # A web server is called the same whatever runs in it.
    name = (program if program.startswith(project)
            else f'{project}-{program}')
    return re.sub('[^A-Za-z0-9_-]', '_', name)[:LONGEST_SERVICE] or '_'


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A service uses a volume.

    :param cluster: see :func:`os_brick_ext.locks.digest`.
    """

    cluster: str
    volume: str
    service: str

    @classmethod
    def of(cls, key: conn_props.VolumeKey, user: str) -> Claim:
        """:returns: a service's claim to a volume."""
        return cls(locks.digest(key.subsystem_nqn), key.volume_uuid, user)

    @property
    def wwid(self) -> str:
        """What the kernel calls the volume."""
        return f'uuid.{self.volume}'

    @property
    def file_name(self) -> str:
        """Of its file, without folder."""
        return f'{PREFIX}{self.cluster}.{self.volume}.{self.service}'


class Claims:
    """The claims of a host. Whoever changes one holds the volume's lock.

    :param folder: of the locks.
    """

    def __init__(self, folder: str, held: locks.Locks,
                 kernel: sysfs.Sysfs) -> None:
        self._folder = folder
        self._locks = held
        self._kernel = kernel
        self._service = service()

    def mine(self, key: conn_props.VolumeKey) -> Claim:
        """:returns: this service's claim to a volume, made or not."""
        return Claim.of(key, self._service)

    def make(self, claim: Claim) -> bool:
        """Make a claim. Idempotent.

        :returns: whether it is a new one.
        :raises NotReady: no file can be made.
        """
        path = os.path.join(self._folder, claim.file_name)
        try:
            os.close(os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                0o644))
        except FileExistsError:
            return False
        except OSError as exc:
            raise errors.NotReady(f'{path} cannot be made: {exc}') from exc
        return True

    def drop(self, claim: Claim) -> bool:
        """Give a claim up. Idempotent.

        :returns: whether there is none any more. In a folder that all may
            write to, files of others may have to stay.
        """
        try:
            os.unlink(os.path.join(self._folder, claim.file_name))
        except FileNotFoundError:
            return True
        except PermissionError:
            return False
        return True

    def all(self) -> list[Claim]:
        """:returns: the claims that there are."""
        found = map(_NAME.fullmatch, files.names(self._folder))
        return [Claim(*one.groups()) for one in found if one is not None]

    def others(self, key: conn_props.VolumeKey) -> list[Claim]:
        """:returns: the claims of other services to a volume."""
        prefix = Claim.of(key, '').file_name
        return [Claim.of(key, name.removeprefix(prefix))
                for name in files.names(self._folder)
                if name.startswith(prefix) and _NAME.fullmatch(name)
                and name != self.mine(key).file_name]

    def gone(self, claim: Claim) -> bool:
        """:returns: whether the volume of a claim is not here."""
        return claim.cluster not in map(
            locks.digest, self._kernel.subsystems(claim.wwid))

    def sweep(self, gone: Callable[[Claim], bool],
              first: Callable[[Claim], object] = lambda _claim: None
              ) -> list[Claim]:
        """Drop what was left to volumes that have gone.

        :param gone: whether a claim's volume is not on this host. Where
            somebody works on the volume it may be about to come.
        :param first: is done before a claim is dropped, under the volume's
            lock; what it raises is raised.
        :returns: the claims that count. One whose volume has gone does not,
            whether its file could be removed or not.
        """
        self._locks.sweep()
        left = {claim for claim in self.all()
                if gone(claim) and self._left(claim, gone, first)}
        # Since then others may have made some.
        return [claim for claim in self.all() if claim not in left]

    def _left(self, claim: Claim, gone: Callable[[Claim], bool],
              first: Callable[[Claim], object]) -> bool:
        """:returns: whether a claim means nothing and has to stay."""
        with contextlib.suppress(
                errors.Busy, errors.NotReady), self._locks.held(
                    locks.of_volume(claim.volume),
                    timing.Deadline.after(0.0)):
            # It may have come before the lock was free.
            if gone(claim):
                first(claim)
                return not self.drop(claim)
        return False
