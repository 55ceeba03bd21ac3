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

"""os-brick's contract for connectors, for protocol ``lightos``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import functools
from typing import Any
from typing import ParamSpec
from typing import TypeVar

from os_brick import initiator
from os_brick.initiator.connectors import base
from os_brick import utils
from oslo_config import cfg
from oslo_log import log as logging

from os_brick_ext import attach
from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import host
from os_brick_ext import locks
from os_brick_ext import privileged
from os_brick_ext import settings
from os_brick_ext import sysfs
from os_brick_ext import timing
from os_brick_ext import ways

LOG = logging.getLogger(__name__)

CANNOT = 'This host cannot attach Lightbits volumes: %s'

P = ParamSpec('P')
R = TypeVar('R')


def _key(properties: Mapping[str, Any]) -> conn_props.VolumeKey:
    """:raises BadProperties: it does not say which volume is meant."""
    try:
        return conn_props.VolumeKey.from_dict(properties)
    except conn_props.InvalidConnectionProperties as exc:
        raise errors.BadProperties(str(exc)) from exc


def _subject(self: Any, connection_properties: Any, *_args: Any,
             **_kwargs: Any) -> tuple[LightbitsConnector, Mapping[str, Any]]:
    """:returns: whose method is called, and about which volume."""
    return self, connection_properties


def _serialised(method: Callable[P, R]) -> Callable[P, R]:
    """Run a method under the lock of the volume it is about.

    See :meth:`LightbitsConnector._alone_with`.
    """
    @functools.wraps(method)
    def locked(*args: P.args, **kwargs: P.kwargs) -> R:
        this, properties = _subject(*args, **kwargs)
        with this._alone_with(_key(properties)):
            return method(*args, **kwargs)

    return locked


class LightbitsConnector(
        base.BaseLinuxConnector):
    """Attaches volumes of any number of Lightbits clusters to this host.

    It takes the properties that Cinder's own driver gives for protocol
    ``lightos``, and makes use of what :mod:`os_brick_ext.conn_props` adds.

    :param settings: instead of what is configured.
    :param kernel: instead of this machine's.
    :param root: instead of privsep.
    :param args, kwargs: as os-brick's factory gives them.
    """

    def __init__(self, root_helper: str, driver: Any = None,
                 execute: Callable[..., tuple[str, str]] | None = None,
                 use_multipath: bool = False,
                 device_scan_attempts: int = (
                     initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT),
                 *args: Any, chosen: settings.Settings | None = None,
                 kernel: sysfs.Sysfs | None = None,
                 root: ways.Root = privileged, **kwargs: Any) -> None:
        super().__init__(root_helper, driver, execute, *args,
                         device_scan_attempts=device_scan_attempts, **kwargs)
        self.use_multipath = use_multipath
        self.settings = chosen or settings.load()
        self.locks = locks.Locks(self.settings.lock_folder)
        self._kernel = kernel or sysfs.Sysfs()
        self._way = attach.choose_way(
            self.settings, self._kernel, root, self.locks)
        self._attacher = attach.Attacher(
            self._kernel, root, self._way, self.settings)

    @staticmethod
    def get_connector_properties(root_helper: str, *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """What drivers are told of this host.

        os-brick asks for this whenever a volume of any protocol is to be
        attached: it is answered within the time of one probe and raises
        nothing.

        :returns: ``nqn``; ``found_dsc``, which is ``found`` if this host can
            attach now and empty if not; ``host_ips``. Nothing if the host
            has no NQN, or cannot say.
        """
        try:
            connector = LightbitsConnector(
                root_helper, execute=kwargs.get('execute'))
        except cfg.Error as exc:
            # Of other protocols, too, none could be attached any more.
            LOG.warning(CANNOT, exc)
            return {}
        return connector.describe_host()

    def describe_host(self) -> dict[str, Any]:
        """:returns: see :meth:`get_connector_properties`."""
        try:
            return {'nqn': host.nqn(),
                    'found_dsc': 'found' if self._way.available() else '',
                    'host_ips': host.addresses()}
        except (errors.NotReady, OSError, ValueError) as exc:
            LOG.warning(CANNOT, exc)
            return {}

    def supports_multipath(self) -> bool:
        """:returns: whether the kernel joins the paths of a volume."""
        return self._kernel.native_multipath()

    @contextlib.contextmanager
    def _alone_with(
            self, key: conn_props.VolumeKey) -> Iterator[timing.Deadline]:
        """Hold the lock of a volume.

        Other volumes are not held up, whatever becomes of this one. The lock
        holds between all services of the host.

        :returns: a context manager that gives when ``connect_timeout`` is
            over for who waited from then on.
        :raises Busy: another operation on the volume took longer than that.
        :raises NotReady: there are no locks on this host.
        """
        deadline = timing.Deadline.after(self.settings.connect_timeout)
        with self.locks.held(locks.of_volume(key.volume_uuid), deadline):
            yield deadline

    # The lock is held within what os-brick's decorator does, which may call
    # disconnect_volume, and that takes the same lock.
    @utils.trace
    @utils.connect_volume_prepare_result
    def connect_volume(
            self, connection_properties: Mapping[str, Any]) -> dict[str, Any]:
        """Attach a volume to this host. Idempotent.

        It takes no longer than ``connect_timeout``, the wait for others that
        work on the volume included.

        :param connection_properties: of the in-tree driver or of ours; not
            changed.
        :returns: ``type`` and ``path`` of the block device; ``uuid`` and
            ``subsysnqn``, by which it can be disconnected again.
        :raises BadProperties: they are malformed.
        :raises Busy: another operation on the volume takes too long.
        :raises NotReady: this host lacks what is needed.
        :raises NotVisible: the volume did not appear.
        """
        try:
            props = conn_props.ConnectionProperties.from_dict(
                connection_properties)
        except conn_props.InvalidConnectionProperties as exc:
            raise errors.BadProperties(str(exc)) from exc
        if self.use_multipath and not self.supports_multipath():
            # Else it has nothing to say, and takes long to hide secrets.
            self.check_multipath(connection_properties)
        with self._alone_with(props.key) as deadline:
            # How long the volume is awaited counts from now.
            found = self._attacher.connect(props, deadline.from_now())
        LOG.info('volume=%s cluster=%s attached as %s, %d paths',
                 props.volume_uuid, props.cluster_name or props.subsystem_nqn,
                 found.node, found.paths)
        return {'type': 'block', 'path': found.node,
                'uuid': props.volume_uuid, 'subsysnqn': props.subsystem_nqn}

    @utils.trace
    @_serialised
    @utils.connect_volume_undo_prepare_result(
        unlink_after=True)
    def disconnect_volume(
            self, connection_properties: Mapping[str, Any],
            device_info: Mapping[str, Any] | None = None,
            force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume from this host. Idempotent.

        What is already gone is not waited for. The block device itself goes
        when the array withdraws the volume, which Cinder asks it to do after
        this, or at once if the host leaves the cluster with it.

        :param connection_properties: see :meth:`connect_volume`; only what
            says which volume it is must be there.
        :param device_info: what :meth:`connect_volume` gave; not needed.
        :param force: go on after errors, and raise them together at the end.
        :param ignore_errors: go on after errors and raise none.
        :raises BadProperties: they do not say which volume.
        :raises Busy: another operation on the volume takes too long.
        :raises InUse: another device is built upon the volume.
        :raises NoPath: no path is left to write its buffers.
        :raises NotDeparted: what was to go is still there.
        """
        key = _key(connection_properties)
        problems = self._attacher.disconnect(
            key, self._flush, go_on=force or ignore_errors)
        if problems and not ignore_errors:
            raise problems
        LOG.info('volume=%s cluster=%s detached',
                 key.volume_uuid, key.subsystem_nqn)

    def _flush(self, node: str) -> None:
        self._execute('blockdev', '--flushbufs', node, run_as_root=True,
                      root_helper=self._root_helper,
                      timeout=self.settings.flush_timeout)

    @utils.trace
    @_serialised
    @utils.connect_volume_undo_prepare_result
    def extend_volume(self, connection_properties: Mapping[str, Any]) -> int:
        """Take note that a volume has been extended.

        :returns: its size in bytes, as the array has it.
        :raises BadProperties: they do not say which volume.
        :raises Busy: another operation on the volume takes too long.
        :raises NotAttached: the volume is not on this host.
        :raises NotResized: the size has not arrived in time.
        """
        return self._attacher.extend(_key(connection_properties))

    def get_volume_paths(
            self, connection_properties: Mapping[str, Any]) -> list[str]:
        """:returns: path of the volume's block device, if it is here now.

        :raises BadProperties: they do not say which volume.
        """
        return self._attacher.paths(_key(connection_properties))

    def get_search_path(self) -> str:
        """:returns: the folder of all device nodes."""
        return self._kernel.devices

    def get_all_available_volumes(
            self, connection_properties: Mapping[str, Any] | None = None,
            ) -> list[str]:
        """:returns: paths of all NVMe block devices of this host."""
        return self._kernel.all_nodes()
