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

"""The release before this one, as a driver that a service is started with.

What sets the two apart is what they know of the formats of stored things. So
this is the present driver, made to know the first of them alone.
"""

from __future__ import annotations

from typing import Any

from cinder_lightbits_federation import formats
from cinder_lightbits_federation import ownership
from tests.embedded import file_driver

DRIVER = f'{__name__}.OlderDriver'


class OlderDriver(file_driver.FileDriver):
    """Neither reads nor writes anything but the first format."""

    VERSION = '0.9.0'

    def do_setup(self, context: Any) -> None:
        """See the driver. For all of the process, which is a service's."""
        formats.NEWEST = formats.OLDEST
        ownership.DESCRIPTION_TAGS = {
            formats.OLDEST: ownership.DESCRIPTION_TAGS[formats.OLDEST]}
        super().do_setup(context)
