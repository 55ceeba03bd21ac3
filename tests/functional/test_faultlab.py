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
"""Services die at named crash points while users work; nothing is lost."""

from __future__ import annotations

from oslotest import base
from testtools import content

from tests.faultlab import lab
from tests.faultlab import plan
from tests.faultlab import report
from tests.stack import bed

SEED = 4
KILLS = 10
# Most of it is left out, unless the machine is slow.
SECONDS = 300.0


class CrashPointsTest(base.BaseTestCase):
    """The fault lab with nothing but crash points, and not for long."""

    def test_nothing_is_lost(self) -> None:
        planned = plan.make(SEED, SECONDS, {plan.Trouble.KILL_AT: 1})
        with bed.Bed() as running:
            running.stack.start()
            result = lab.run(running, planned, KILLS)
            running.stack.stop()
        self.addDetail('report', content.text_content('\n'.join(
            [*report.summary(result), '', *report.details(result)])))
        self.assertTrue(result.good)
        self.assertGreaterEqual(result.past.kills, KILLS)
