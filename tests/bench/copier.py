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

"""A copy by this project, in a process as a service is: nothing patched.

Reads one order as JSON and prints the seconds it took and the bytes that
were moved. The bytes go through privsep's daemon, as they do in a service;
only the names of the devices are other ones.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time

from oslo_config import cfg
from oslo_privsep import priv_context

from cinder_lightbits_federation.copy import devices
from cinder_lightbits_federation.copy import engine
from cinder_lightbits_federation.copy.extents import Extent
from cinder_lightbits_federation.copy import privileged


def main() -> None:
    """Copy what is asked for."""
    order = json.load(sys.stdin)
    privileged.DEVICES = pathlib.Path(order['devices'])
    privileged.SYSFS = pathlib.Path(order['sysfs'])
    cfg.CONF([], project='copier')
    privileged.default.start(priv_context.Method.FORK)
    source, target = (devices.Device(*item) for item in order['volumes'])
    mover = devices.PrivilegedMover()
    mover.differing(source, target, [])  # The daemon is there now.
    begun = time.monotonic()
    progress = engine.run(
        mover, source, target, (Extent(*item) for item in order['extents']),
        engine.Progress(), engine.Manner(), lambda progress: None,
        fresh=True)
    print(json.dumps([time.monotonic() - begun, progress.done]))
    privileged.default.stop()


if __name__ == '__main__':
    main()
