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

"""A process that moves or clones a volume and is killed at a named point.

Reads orders, one JSON object per line, and forks a child for each: what is
imported once need not be again. Answers each with the child's exit status,
negative for a signal. The child runs everything but Cinder: the federation
over HTTPS, the store of jobs, the files of the simulated clusters.
"""

from __future__ import annotations

from tests import patching; patching.prepare()  # noqa: E702

from collections.abc import Callable, Mapping  # noqa: E402
import dataclasses  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import traceback  # noqa: E402
from typing import Any  # noqa: E402

from tooz import coordination  # noqa: E402

from cinder_lightbits_federation.copy import devices  # noqa: E402
from cinder_lightbits_federation.copy.engine import Manner  # noqa: E402
from cinder_lightbits_federation.copy.errors import Cancelled  # noqa: E402
from cinder_lightbits_federation.copy.extents import Extent  # noqa: E402
from cinder_lightbits_federation.copy.origin import Origin  # noqa: E402
from cinder_lightbits_federation.copy.pieces import Pieces  # noqa: E402
from cinder_lightbits_federation.copy.relocation import (  # noqa: E402
    Relocation)
from cinder_lightbits_federation.copy.slots import Slots  # noqa: E402
from cinder_lightbits_federation.copy.state import Stage  # noqa: E402
from cinder_lightbits_federation.copy.state import State  # noqa: E402
from cinder_lightbits_federation.copy.thick import RESULT  # noqa: E402
from cinder_lightbits_federation.copy.thick import ThickClones  # noqa: E402
from cinder_lightbits_federation.copy.transfer import Transfer  # noqa: E402
from cinder_lightbits_federation import errors  # noqa: E402
from cinder_lightbits_federation.federation import Federation  # noqa: E402
from cinder_lightbits_federation.jobs.book import Book  # noqa: E402
from cinder_lightbits_federation.jobs.claims import Desk  # noqa: E402
from cinder_lightbits_federation.jobs.claims import HeldJob  # noqa: E402
from cinder_lightbits_federation.jobs.runner import Task  # noqa: E402
from cinder_lightbits_federation.lightbits import client  # noqa: E402
from cinder_lightbits_federation import loader  # noqa: E402
from cinder_lightbits_federation.location import Location  # noqa: E402
from cinder_lightbits_federation.manage import Manage  # noqa: E402
from cinder_lightbits_federation.options import backend_opts  # noqa: E402
from cinder_lightbits_federation.refs import CreateRequest  # noqa: E402
from cinder_lightbits_federation.refs import VolumeRef  # noqa: E402
from cinder_lightbits_federation.spec import VolumeSpec  # noqa: E402
from cinder_lightbits_federation.store.engine import parse  # noqa: E402
from cinder_lightbits_federation.store.engine import Store  # noqa: E402
from cinder_lightbits_federation.timing import Deadline  # noqa: E402
from cinder_lightbits_federation.timing import wait_until  # noqa: E402
from tests.copying import files  # noqa: E402
from tests.unit.copy.books import Books  # noqa: E402

LEASE = 0.5

Point = Callable[[], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What a child is to do.

    :param config: file with the sections of the clusters.
    :param folders: where each cluster keeps its data, by its name.
    :param record: file with the recorded location, which stands for the
        row of Cinder's database.
    :param moved: file that what was copied is written to.
    :param point: where to be killed; None to do all of it.
    :param kind: of the job.
    :param clone: the parameters of a thick clone; empty for a move.
    :param books: file that stands for Cinder.
    """

    config: str
    options: dict[str, Any]
    folders: dict[str, str]
    store: str
    locks: str
    record: str
    moved: str
    name: str
    name_id: str
    size: int
    checkpoint: int
    nqn: str
    point: str | None = None
    kind: str = 'migrate'
    clone: dict[str, Any] = dataclasses.field(default_factory=dict)
    books: str = ''


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Options:
    """Options of the backend: the defaults, and what is given."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._values = {item.dest: item.default for item in backend_opts}
        self._values |= {'max_over_subscription_ratio': '20.0',
                         'reserved_percentage': 0, **given}

    def safe_get(self, value: str) -> Any:
        """See `sections.Backend`."""
        return self._values.get(value)


class _Record:
    """A row with a location, replaced as a whole."""

    def __init__(self, path: str) -> None:
        self._path = pathlib.Path(path)

    def read(self) -> Location:
        """:returns: the recorded location."""
        return Location.parse(self._path.read_text())

    def record(self, location: Location) -> None:
        """See `refs.Recorder`."""
        fresh = self._path.with_suffix('.new')
        fresh.write_text(str(location))
        fresh.replace(self._path)


class _Mover(files.FileMover):
    """Notes what it has copied, and dies in the middle of a batch."""

    def __init__(self, path: str, half: bool) -> None:
        super().__init__()
        self._log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._half = half

    def copy(self, source: devices.Device, target: devices.Device,
             extents: Any, fresh: bool) -> int:
        """See `devices.Mover.copy`."""
        if self._half and self.calls:
            first = extents[0]
            super().copy(source, target, [Extent(
                first.start, first.start + first.length // 2)], fresh)
            os.write(self._log, f'{first.length // 2}\n'.encode())
            _die()
        written = super().copy(source, target, extents, fresh)
        size = sum(item.length for item in extents)
        os.write(self._log, f'{size}\n'.encode())
        return written


def _after(owner: Any, name: str, number: int, when: Callable[..., bool]
           = lambda *args, **kwargs: True) -> Point:
    """Die when a function has returned for the `number`-th time."""
    def arm() -> None:
        plain = getattr(owner, name)
        seen = 0

        def armed(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            result = plain(*args, **kwargs)
            seen += when(*args, **kwargs)
            if seen == number:
                _die()
            return result

        setattr(owner, name, armed)

    return arm


def _before(owner: Any, name: str, number: int) -> Point:
    """Die when a function is called for the `number`-th time."""
    def arm() -> None:
        plain = getattr(owner, name)
        seen = 0

        def armed(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                _die()
            return plain(*args, **kwargs)

        setattr(owner, name, armed)

    return arm


def _saved(wanted: Callable[[State], bool]) -> Callable[..., bool]:
    def when(_self: Any, state: Mapping[str, Any], *rest: Any) -> bool:
        found = State.parse(state)
        return found is not None and wanted(found)

    return when


_API = client.LightbitsClient

POINTS: dict[str, Point] = {
    'nothing is made yet': _after(HeldJob, 'save', 1),
    'the target is made, not recorded': _after(_API, 'create_volume', 1),
    'nobody uses the source': _after(Origin, 'before', 1),
    'the snapshot is taken, not recorded':
        _after(_API, 'create_snapshot', 1),
    'nobody came during the snapshot': _after(Origin, 'after', 1),
    'the reader is made': _after(_API, 'create_volume', 2),
    'the reader admits this host': _after(_API, 'update_volume', 3),
    'both are attached': _before(_Mover, 'copy', 1),
    'in the middle of a batch': lambda: None,
    'a batch is copied, not noted': _after(_Mover, 'copy', 3),
    'a checkpoint is noted': _after(HeldJob, 'save', 1, _saved(
        lambda state: state.progress.done > 0)),
    'the second pass begins': _after(_API, 'create_snapshot', 2),
    'what was read is removed': _after(Pieces, 'remove_helpers', 1),
    'all is copied': _after(HeldJob, 'save', 1, _saved(
        lambda state: state.stage is Stage.COPIED)),
    'the old volume is closed': _after(Origin, 'close', 1),
    'the record names the new place': _after(_Record, 'record', 1),
    'the new volume has its name': _after(Pieces, 'rename', 1),
    'the old volume is removed': _after(
        Relocation, '_remove_source', 1),
}
HALF = 'in the middle of a batch'

_COPYING = ('nothing is made yet', 'the target is made, not recorded',
            'the snapshot is taken, not recorded', HALF,
            'what was read is removed', 'all is copied')
CLONE_POINTS: dict[str, Point] = {
    **{name: POINTS[name] for name in _COPYING},
    'the clone is offered': _after(_API, 'update_volume', 5),
    'Cinder was asked': _before(Manage, 'adopt_volume', 1),
    'Cinder has it and does not know': _after(Manage, 'adopt_volume', 1),
    'Cinder has taken it over': _after(Books, 'manage', 1),
    'the result is written down': _after(
        HeldJob, 'save', 1, lambda _self, state, *rest: RESULT in state),
    'the mark is gone': _after(Books, 'unmark', 1),
}
FREE_POINTS: dict[str, Point] = {
    'all is copied': POINTS['all is copied'],
    'it is let go of': _after(_API, 'update_volume', 5),
    'the result is written down': CLONE_POINTS['the result is written down'],
}
# Exit status of a job that was cancelled.
CANCELLED = 3


def _held(desk: Desk, order: Order) -> HeldJob:
    def begin() -> HeldJob | None:
        try:
            return desk.begin(order.kind, order.name_id, order.clone)
        except errors.FederationError:
            return None

    return wait_until(begin, Deadline.after(60), 'the job')


def _work(order: Order) -> None:
    settings = loader.load(_Options(order.options), 'lightbits', 'mover',
                           False, [order.config], [])
    locks = coordination.get_coordinator(f'file://{order.locks}', b'mover')
    locks.start()

    def get_lock(name: str) -> Any:
        return locks.get_lock(name.encode())

    federation = Federation(settings, get_lock)
    federation.start()
    transfer = Transfer(
        federation, files.FolderAttacher(order.folders, order.nqn),
        _Mover(order.moved, order.point == HALF), Slots(get_lock, 2),
        Manner(checkpoint=order.checkpoint))
    wait_until(lambda: all(item.uuid for item in federation.registry.clusters)
               or None, Deadline.after(30), 'the clusters')
    desk = Desk(Book(Store(parse(order.store)), 'mover', LEASE),
                order.nqn)
    if order.point is not None:
        {**POINTS, **CLONE_POINTS, **FREE_POINTS}[order.point]()
    held = _held(desk, order)
    with desk.ending(held):
        if order.clone:
            ThickClones(
                lambda rate: transfer, Books(federation, order.books), LEASE
            ).handlers()[order.kind](Task(held, threading.Event()))
        else:
            _move(transfer, order, held)
    federation.stop()


def _move(transfer: Transfer, order: Order, held: HeldJob) -> None:
    record = _Record(order.record)
    ref = VolumeRef(order.name, order.name_id, 'default', record.read())
    request = CreateRequest(ref, order.size, VolumeSpec(), record)
    Relocation(transfer).move(request, held)


def _child(order: Order) -> None:
    status = 1
    try:
        _work(order)
        status = 0
    except Cancelled:
        status = CANCELLED
    finally:
        # Not the exit of an interpreter: that belongs to the parent.
        if status == 1:
            traceback.print_exc()
        os._exit(status)


def main() -> None:
    """Do what is asked for until there is no more."""
    for line in sys.stdin:
        order = Order(**json.loads(line))
        child = os.fork()
        if not child:
            _child(order)
        _pid, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == '__main__':
    main()
