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

"""What must hold before a change of an object is accepted."""

from __future__ import annotations

import collections.abc
import typing

from tests.simulator import cluster as clusters
from tests.simulator import errors
from tests.simulator import model

R = typing.TypeVar('R', bound=model.Resource)

StateCheck = collections.abc.Callable[[clusters.Cluster, R], None]


def check(
    cluster: clusters.Cluster,
    item: R,
    if_match: str | None,
    check_state: StateCheck[R],
) -> None:
    """Check state and ETag, in the order of the switch.

    :raises ApiError: what `check_state` raises; 412 and its like.
    """
    if cluster.switches.etag_before_state:
        cluster.check_etag(item, if_match)
        check_state(cluster, item)
    else:
        check_state(cluster, item)
        cluster.check_etag(item, if_match)


def repeated_delete(cluster: clusters.Cluster, item: model.Resource) -> bool:
    """Whether to accept the delete of an object in Deleting.

    :returns: False if the object is not in Deleting.
    :raises ApiError: 400 or 412 by the switch.
    """
    if item.state is not model.State.DELETING:
        return False
    status = cluster.switches.delete_twice
    if status == 200:
        return True
    raise errors.ApiError(
        errors.Code.FAILED_PRECONDITION,
        f'there is another ongoing task for resource {item.uuid}',
        status,
    )
