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

"""A clone that fails at any moment, and a plain create of the same volume.

That is what Cinder does when it cannot use an image in its cache: in the
same process, it asks the driver again for the same record.
"""

from __future__ import annotations

import traceback

from cinder import exception
from cinder import objects

from tests.crash import cloud as clouds
from tests.crash import matrix
from tests.crash import operations

TITLE = 'clone fails'
CONTINUATION = 'plain create'


def run(cloud: clouds.CloudTestCase,
        choice: matrix.Choice = matrix.everywhere) -> matrix.Row:
    """Let the clusters fall silent after each effect of a clone.

    :param choice: which moments to choose, given the effects there are.
    """
    with matrix.clean_slate(cloud):
        effects = _fail_and_create(cloud, None)
    cell = matrix.Cell()
    for moment in choice(effects):
        cell.runs += 1
        try:
            with matrix.clean_slate(cloud):
                _fail_and_create(cloud, moment)
                if cloud.audit.intermediates():
                    cell.left.setdefault(matrix.INTERMEDIATE,
                                         set()).add(moment)
                cloud.delete_all()
                cloud.assert_sound()
        # Anything at all is a finding; the rest goes on.
        except Exception:  # noqa: BLE001
            cell.problems[str(moment)] = traceback.format_exc()
    return matrix.Row(TITLE, effects, {CONTINUATION: cell})


def _fail_and_create(cloud: clouds.CloudTestCase, silence: int | None
                     ) -> tuple[str, ...]:
    """Do it once; fails unless there is one sound volume in the end.

    :param silence: effects the clone has before nobody answers any more.
    :returns: the effects of the clone.
    """
    volume = operations.Clone().prepare(cloud).volume
    source = cloud.find(objects.Volume, volume.source_volid)
    service = cloud.service
    driver = service.manager.driver
    with service.active():
        try:
            with service.life.losing(silence):
                update = driver.create_cloned_volume(volume, source)
        except exception.CinderException:
            cloud.assertIsNotNone(silence, 'it failed by itself')
            cloud.look_again()
            update = driver.create_volume(volume)
    volume.update({**update, 'status': 'available'})
    volume.save()
    cloud.assert_sound()
    return tuple(service.life.effects)
