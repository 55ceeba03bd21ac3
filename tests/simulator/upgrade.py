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


"""Changes of the software an array runs."""

from __future__ import annotations

import dataclasses

from tests.simulator import cluster as clusters
from tests.simulator import errors
from tests.simulator import model


def set_upgrade(
    cluster: clusters.Cluster,
    status: str,
    *,
    target: str | None,
    error: str,
    step: int | None,
    total: int | None,
) -> None:
    """Let the last upgrade be in a state.

    The first Upgrading after another state is a new upgrade, which begins
    now; the first other state after Upgrading is its end.

    :param target: version it leads to; None leaves it.
    :param error: why it failed.
    :param step: of how far it is; None leaves it, as with `total`.
    :raises ControlError: the status is unknown, or the step beyond the
        total.
    """
    found = _parse_status(status)
    before = cluster.upgrade
    upgrading = model.UpgradeStatus.UPGRADING
    if found is upgrading and before.status is not upgrading:
        before = model.Upgrade(started=cluster.now())
    elif before.status is upgrading and found is not upgrading:
        before = dataclasses.replace(before, ended=cluster.now())
    after = dataclasses.replace(
        before,
        status=found,
        target=before.target if target is None else target,
        error=error,
        step=before.step if step is None else step,
        total=before.total if total is None else total,
    )
    if not 0 <= after.step <= after.total:
        raise errors.ControlError(
            f'field step: {after.step} is not 0 to {after.total}'
        )
    cluster.upgrade = after
    cluster.etag += 1


def _parse_status(text: str) -> model.UpgradeStatus:
    try:
        return model.UpgradeStatus(text)
    except ValueError as err:
        known = ', '.join(model.UpgradeStatus)
        raise errors.ControlError(
            f'field status: {text!r} is not one of {known}'
        ) from err


def set_version(cluster: clusters.Cluster, version: str) -> None:
    """Let all nodes run another release.

    :raises ControlError: `version` does not begin with two numbers.
    """
    cluster.switches = cluster.switches.replaced({'version': version})
    cluster.etag += 1
