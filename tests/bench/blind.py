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
"""The driver without what makes it see creates its statistics miss.

Loaded by the services that are measured, by these names.
"""

from __future__ import annotations

from collections.abc import Iterable
import math
from typing import Any

from cinder_lightbits_federation import driver
from cinder_lightbits_federation import placer
from cinder_lightbits_federation import reservations


class _Forgetful(reservations.Reservations):
    """Counts recent creates, and no bytes of them."""

    def tallies(self, asked: Iterable[tuple[str, float | None]],
                now: float) -> list[reservations.Tally]:
        """:returns: tallies without bytes."""
        return [told._replace(reserved=0)
                for told in super().tallies(asked, now)]


class WithoutReservations(driver.LightbitsFederationDriver):
    """Does not see its own creates before statistics show them."""

    def do_setup(self, context: Any) -> None:
        """Set up as ever, with another ledger."""
        placer.PROMISED = _Forgetful(placer.RECENT_WINDOW,
                                     placer.RESERVATION_HISTORY)
        super().do_setup(context)


class WithoutRefresh(driver.LightbitsFederationDriver):
    """Places with what the last poll has seen."""

    def do_setup(self, context: Any) -> None:
        """Set up as ever; statistics count as fresh for ever."""
        placer.FRESH = math.inf
        super().do_setup(context)


class WithoutBoth(WithoutReservations, WithoutRefresh):
    """Has only what the last poll has seen."""
