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

"""Messages between Cinder's services, delivered within one process.

Arguments travel as they do in messages, so that a service works on objects
of its own. A cast is delivered at once: whoever sends it goes on when the
receiver is done, which is the worst order a reschedule can meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import logging
from typing import Any, Protocol

from cinder import context as cinder_context
from cinder.objects import base as objects_base
from cinder import rpc
from cinder.scheduler import driver as scheduler_driver
from cinder.volume import rpcapi as volume_rpcapi
import fixtures
import oslo_messaging

from tests.crash import life

LOG = logging.getLogger(__name__)

VOLUME = 'cinder-volume'
SCHEDULER = 'cinder-scheduler'


class Receiver(Protocol):
    """A service that gets messages."""

    def receive(self, ctxt: Any, method: str, args: Mapping[str, Any]
                ) -> Any:
        """Do what a message asks for and return the answer."""


class Bus:
    """Who gets the messages of a topic."""

    def __init__(self) -> None:
        self.receivers: dict[str, Receiver] = {}
        self._held: list[Callable[[], None]] | None = None

    def connection(self) -> fixtures.Fixture:
        """:returns: what makes Cinder's RPC clients use this bus."""
        return fixtures.MockPatchObject(
            rpc.RPCAPI, '_get_cctxt',
            lambda client, *_args, **_kwargs: _Sender(self, client.TOPIC))

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """Deliver casts when it is over, each when the one before is done.

        For receivers that would wait for a lock of their sender.
        """
        held: list[Callable[[], None]] = []
        self._held = held
        try:
            yield
            while held:
                held.pop(0)()
        finally:
            self._held = None

    def cast(self, topic: str, ctxt: Any, method: str,
             args: Mapping[str, Any]) -> None:
        """Hand a message over; errors are the receiver's business."""
        def run() -> None:
            try:
                self.deliver(topic, ctxt, method, args)
            except life.Crash:
                LOG.debug('%s ends with its process', method)
            # The top of the receiver's thread.
            except Exception:  # noqa: BLE001
                LOG.exception('%s failed', method)

        if self._held is None:
            run()
        else:
            self._held.append(run)

    def deliver(self, topic: str, ctxt: Any, method: str,
                args: Mapping[str, Any]) -> Any:
        """Hand a message over and return the answer."""
        serializer = objects_base.CinderObjectSerializer()
        sent = {key: serializer.serialize_entity(ctxt, value)
                for key, value in args.items()}
        received = cinder_context.RequestContext.from_dict(ctxt.to_dict())
        return self.receivers[topic].receive(received, method, {
            key: serializer.deserialize_entity(received, value)
            for key, value in sent.items()})


class _Sender:
    """What an RPC client sends with."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self._bus = bus
        self._topic = topic
        self.target = oslo_messaging.Target(topic=topic, version='99.0')

    def cast(self, ctxt: Any, method: str, **args: Any) -> None:
        """Send and forget."""
        self._bus.cast(self._topic, ctxt, method, args)

    def call(self, ctxt: Any, method: str, **args: Any) -> Any:
        """Send and wait for the answer.

        :raises MessagingTimeout: the receiver died.
        """
        try:
            return self._bus.deliver(self._topic, ctxt, method, args)
        except life.Crash:
            raise oslo_messaging.MessagingTimeout(method) from None


class Scheduler:
    """Sends everything to the one backend there is.

    :param place: the ``host@backend#pool`` of the backend.
    """

    MAX_ATTEMPTS = 3

    def __init__(self, place: str) -> None:
        self._place = place
        self._methods: dict[str, Callable[..., None]] = {
            'create_volume': self._create_volume,
            'create_snapshot': self._create_snapshot,
            'extend_volume': self._extend_volume,
            'retype': self._retype,
            'manage_existing': self._manage_existing,
            'manage_existing_snapshot': self._manage_existing_snapshot,
            'notify_service_capabilities': self._ignore,
            'update_service_capabilities': self._ignore}

    def receive(self, ctxt: Any, method: str, args: Mapping[str, Any]
                ) -> None:
        """See `Receiver.receive`."""
        self._methods[method](ctxt, **args)

    @staticmethod
    def _ignore(_ctxt: Any, **_args: Any) -> None:
        """There is nothing to choose between."""

    def _create_volume(self, ctxt: Any, volume: Any, request_spec: Any,
                       filter_properties: Any, **_rest: Any) -> None:
        properties = dict(filter_properties or {})
        retry = properties.setdefault('retry', {})
        retry['num_attempts'] = retry.get('num_attempts', 0) + 1
        if retry['num_attempts'] > self.MAX_ATTEMPTS:
            volume.status = 'error'
            volume.save()
            return
        chosen = scheduler_driver.volume_update_db(ctxt, volume.id,
                                                   self._place, None)
        volume_rpcapi.VolumeAPI().create_volume(
            ctxt, chosen, request_spec, properties, allow_reschedule=True)

    @staticmethod
    def _create_snapshot(ctxt: Any, volume: Any, snapshot: Any,
                         **_rest: Any) -> None:
        volume_rpcapi.VolumeAPI().create_snapshot(ctxt, volume, snapshot)

    @staticmethod
    def _extend_volume(ctxt: Any, volume: Any, new_size: int,
                       reservations: Any, **_rest: Any) -> None:
        volume_rpcapi.VolumeAPI().extend_volume(ctxt, volume, new_size,
                                                reservations)

    def _retype(self, ctxt: Any, volume: Any, request_spec: Any,
                **_rest: Any) -> None:
        volume_rpcapi.VolumeAPI().retype(
            ctxt, volume, new_type_id=request_spec['volume_type']['id'],
            dest_backend=_Backend(self._place),
            migration_policy=request_spec['migration_policy'],
            reservations=request_spec['quota_reservations'],
            old_reservations=request_spec['old_reservations'])

    @staticmethod
    def _manage_existing(ctxt: Any, volume: Any, request_spec: Any,
                         **_rest: Any) -> None:
        volume_rpcapi.VolumeAPI().manage_existing(ctxt, volume,
                                                  request_spec['ref'])

    @staticmethod
    def _manage_existing_snapshot(ctxt: Any, volume: Any, snapshot: Any,
                                  ref: Any, **_rest: Any) -> None:
        volume_rpcapi.VolumeAPI().manage_existing_snapshot(
            ctxt, snapshot, ref, volume.service_topic_queue)


class _Backend:
    """The part of a scheduler's backend state that messages need."""

    cluster_name = None
    capabilities: dict[str, Any] = {}

    def __init__(self, host: str) -> None:
        self.host = host
        self.backend_id = host
