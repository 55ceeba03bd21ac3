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

"""Cinder's side in the guest: the driver on Cinder's own records.

Run as ``python -m tests.vm.cinder``, as a process beside the host's. Each
line it reads is a call as JSON, and so is each line it prints: what the host
gets has been through the same as between Cinder and Nova.
"""

from __future__ import annotations

from tests import patching; patching.prepare()  # noqa: E702

from collections.abc import Sequence  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import traceback  # noqa: E402
from typing import Any  # noqa: E402

from cinder import objects  # noqa: E402
import os_brick  # noqa: E402
from os_brick import privileged as brick_privileged  # noqa: E402
from oslo_config import cfg  # noqa: E402

from cinder_lightbits_federation.copy import devices  # noqa: E402
from cinder_lightbits_federation.copy.extents import Extent  # noqa: E402
from cinder_lightbits_federation.copy import privileged as copying  # noqa: E402
from cinder_lightbits_federation import driver as lb_driver  # noqa: E402
from cinder_lightbits_federation.timing import Deadline  # noqa: E402
from os_brick_ext import options  # noqa: E402
from os_brick_ext import privileged as ext_privileged  # noqa: E402
from os_brick_ext import register  # noqa: E402
from tests.bench import environment  # noqa: E402
from tests.simulator import client  # noqa: E402
from tests.simulator import link  # noqa: E402
from tests.vm import places  # noqa: E402


class CountingMover(devices.PrivilegedMover):
    """Knows how many bytes it has written."""

    def __init__(self) -> None:
        self.written = 0

    def copy(self, source: devices.Device, target: devices.Device,
             extents: Sequence[Extent], fresh: bool) -> int:
        """See `Mover.copy`."""
        written = super().copy(source, target, extents, fresh)
        self.written += written
        return written


class Calls:
    """What the host's side may ask for; volumes go by their ids."""

    def __init__(self, bench: environment.Environment) -> None:
        self._bench = bench
        self._driver: lb_driver.LightbitsFederationDriver | None = None
        self._types: dict[str, str] = {}
        self._mover = CountingMover()

    @property
    def driver(self) -> lb_driver.LightbitsFederationDriver:
        """The driver, which has been started."""
        assert self._driver is not None
        return self._driver

    def start(self, control: str, ca_file: str,
              clusters: list[dict[str, Any]]) -> None:
        """Start the driver in front of these clusters."""
        there = link.Control(control)
        self._bench.arrays = {
            info['name']: client.SimCluster(there, ca_file, info)
            for info in clusters}
        # In an emulated machine a request may stand still for seconds, which
        # is no reason to take its cluster for dead.
        self._driver = self._bench.build_driver(
            lightbits_default_num_replicas=2, lightbits_connect_timeout=30,
            lightbits_api_timeout=60, lightbits_operation_timeout=120)
        self._driver._mover = (  # type: ignore[method-assign]
            lambda: self._mover)
        use_host(self._bench)
        self._driver.do_setup(self._bench.context)
        self._driver.check_for_setup_error()

    def look(self) -> None:
        """Look at the clusters, as Cinder does periodically."""
        self.driver.get_volume_stats(refresh=True)

    def reach(self, cluster: str) -> bool:
        """:returns: whether a cluster answers; it is asked now."""
        found = next(one for one in self.driver.federation.registry.clusters
                     if one.name == cluster)
        return found.refresh(
            Deadline.after(found.settings.client.api_timeout))

    def _type(self, cluster: str) -> str:
        if cluster not in self._types:
            self._types[cluster] = self._bench.volume_type(
                **{'lightos:cluster': cluster})
        return self._types[cluster]

    def _volume(self, uuid: str) -> Any:
        return objects.Volume.get_by_id(self._bench.context, uuid)

    def _snapshot(self, uuid: str) -> Any:
        return objects.Snapshot.get_by_id(self._bench.context, uuid)

    def create(self, cluster: str, size: int = 1, snapshot: str = '',
               volume: str = '') -> str:
        """:returns: id of a new volume, maybe with the data of another.

        :param cluster: which one it must be on; empty for any.
        """
        record = self._bench.volume(
            size, self._type(cluster) if cluster else None)
        if snapshot:
            update = self.driver.create_volume_from_snapshot(
                record, self._snapshot(snapshot))
        elif volume:
            update = self.driver.create_cloned_volume(
                record, self._volume(volume))
        else:
            update = self.driver.create_volume(record)
        environment.saved(record, {**(update or {}), 'status': 'available'})
        return str(record.id)

    def delete(self, volume: str) -> None:
        """Delete a volume."""
        record = self._volume(volume)
        self.driver.delete_volume(record)
        record.destroy()

    def snapshot(self, volume: str) -> str:
        """:returns: id of a new snapshot."""
        record = self._bench.snapshot(self._volume(volume))
        environment.saved(record, {
            **(self.driver.create_snapshot(record) or {}),
            'status': 'available'})
        return str(record.id)

    def delete_snapshot(self, snapshot: str) -> None:
        """Delete a snapshot."""
        record = self._snapshot(snapshot)
        self.driver.delete_snapshot(record)
        record.destroy()

    def extend(self, volume: str, size: int) -> None:
        """Extend a volume to so many GiB."""
        record = self._volume(volume)
        self.driver.extend_volume(record, size)
        environment.saved(record, {'size': size})

    def attach(self, volume: str, connector: dict[str, Any]
               ) -> dict[str, Any]:
        """:returns: the connection information for a host."""
        record = self._volume(volume)
        info: dict[str, Any] = self.driver.initialize_connection(
            record, connector)
        self._bench.attachment(record, connector)
        return info

    def move(self, volume: str) -> int:
        """Move a volume to another cluster.

        :returns: bytes that were written there.
        """
        before = self._mover.written
        record = self._volume(volume)
        moved, update = self.driver.migrate_volume(
            self._bench.context, record,
            {'host': f'{environment.HOST}#federation', 'capabilities': {}})
        assert moved and update
        environment.saved(record, update)
        return self._mover.written - before

    def detach(self, volume: str, connector: dict[str, Any]) -> None:
        """Take a volume from a host, after the host let go of it."""
        record = self._volume(volume)
        self.driver.terminate_connection(record, connector)
        for attachment in record.volume_attachment:
            if attachment.connector == connector:
                attachment.destroy()


def use_host(bench: environment.Environment) -> None:
    """Attach volumes to this very host, as cinder-volume does.

    Natively, and with the steps that need privilege as its own.
    """
    bench.configure({
        'os_brick': {'lock_path': places.LOCKS,
                     'lightos_discovery_client_dir_path': places.DROP_INS},
        'os_brick_ext': {'mode': options.NATIVE}})
    os_brick.setup(cfg.CONF)
    register.register()
    for context in (copying.default, ext_privileged.default,
                    brick_privileged.default):
        context.set_client_mode(False)


def main() -> None:
    """Answer calls until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    sys.stdout = sys.stderr
    logging.basicConfig(level=logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        bench = environment.Environment(folder, None)
        bench.prepare()
        calls = Calls(bench)
        for line in sys.stdin:
            name, arguments = json.loads(line)
            answer: dict[str, Any] = {}
            try:
                answer['result'] = getattr(calls, name)(**arguments)
            except Exception as exc:  # noqa: BLE001 - the top of a call
                answer['error'] = f'{type(exc).__name__}: {exc}'
                traceback.print_exc()
            answers.write(json.dumps(answer) + '\n')
            answers.flush()


if __name__ == '__main__':
    main()
