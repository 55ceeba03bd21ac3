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

"""What follows after a volume service has died in the middle of its work."""

from __future__ import annotations

import abc
import contextlib
from typing import Any, ClassVar

from cinder import exception
from cinder.scheduler import rpcapi as scheduler_rpcapi

from tests.crash import cloud as clouds
from tests.crash import operations


class Continuation(abc.ABC):
    """One way to go on. The service is dead, or has finished."""

    title: ClassVar[str]

    def applies(self, operation: operations.Operation) -> bool:
        """Whether this can follow the operation."""
        return True

    @abc.abstractmethod
    def go_on(self, cloud: clouds.CloudTestCase,
              operation: operations.Operation, subject: operations.Subject,
              variant: int) -> bool:
        """Go on; ends with records at rest, and fails if that is wrong.

        :param variant: which way to do it, from 0.
        :returns: whether there is one more variant.
        """


class Restart(Continuation):
    """The service starts again and clears up after its predecessor.

    Of what it does not care for, users and operators take care; in the end
    they delete everything.
    """

    title = 'restart, then delete'

    def go_on(self, cloud: clouds.CloudTestCase,
              operation: operations.Operation, subject: operations.Subject,
              variant: int) -> bool:
        cloud.boot()
        left = [item.resource_id for item in cloud.workers()]
        cloud.assertEqual([], left, 'work that nobody finishes')
        operation.give_up(cloud, subject)
        return False


class Delete(Continuation):
    """Nobody clears up; the user just wants it gone."""

    title = 'delete'

    def go_on(self, cloud: clouds.CloudTestCase,
              operation: operations.Operation, subject: operations.Subject,
              variant: int) -> bool:
        cloud.boot(clean=False)
        cloud.delete_all()
        return False


class Repeat(Continuation):
    """An operator resets the state, and the user asks again."""

    title = 'repeat'

    def go_on(self, cloud: clouds.CloudTestCase,
              operation: operations.Operation, subject: operations.Subject,
              variant: int) -> bool:
        cloud.boot(clean=False)
        operation.repeat(cloud, subject)
        operation.verify(cloud, subject)
        return False


class Reschedule(Continuation):
    """Another attempt is made, and then the first one cleans up.

    Cinder sends the next attempt on its way before it lets the driver clean
    up, with the object the first attempt had.
    """

    title = 'reschedule'

    def applies(self, operation: operations.Operation) -> bool:
        return operation.creates

    def go_on(self, cloud: clouds.CloudTestCase,
              operation: operations.Operation, subject: operations.Subject,
              variant: int) -> bool:
        old = cloud.service.latest['volume']
        service = cloud.boot(clean=False)
        _attempt_again(cloud, old)
        _clean_up(service, old)
        operation.verify(cloud, subject)
        return False


class Race(Continuation):
    """The first attempt cleans up before a certain call of the next one."""

    title = 'reschedule, racing'

    def applies(self, operation: operations.Operation) -> bool:
        # Clones make the same volume in the same way.
        return type(operation) is operations.Create

    def go_on(self, cloud: clouds.CloudTestCase,
              operation: operations.Operation, subject: operations.Subject,
              variant: int) -> bool:
        old = cloud.service.latest['volume']
        service = cloud.boot(clean=False)
        with service.life.interrupted(
                variant, lambda: _clean_up(service, old)) as happened:
            _attempt_again(cloud, old)
            more = happened()
        operation.verify(cloud, subject)
        return more


CONTINUATIONS: tuple[Continuation, ...] = (
    Restart(), Delete(), Repeat(), Reschedule(), Race())


def _attempt_again(cloud: clouds.CloudTestCase, old: Any) -> None:
    """What Cinder does about a failed create, up to the clean-up."""
    old.host = None
    old.save()
    scheduler_rpcapi.SchedulerAPI().create_volume(
        cloud.context, old, request_spec=clouds.request_spec(old))


def _clean_up(service: clouds.Service, old: Any) -> None:
    """The clean-up; what it fails with is ignored, as Cinder does."""
    with service.active(), contextlib.suppress(exception.CinderException):
        service.manager.driver_delete_volume(old)
