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

"""Edits that keep out whoever has read a volume before.

A change is refused by the cluster unless the volume is still the version that
it was worked out from. So any write to a volume keeps those out that have read
it, stand still, and would write later on.
"""

from __future__ import annotations

from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits.volumes import Hook


def writing(hook: Hook) -> Hook:
    """Have an edit write even if nothing is to be changed.

    :param hook: says what is to be changed.
    :returns: what does so as well, for one edit: that ends when the volume is
        another version than the one that was seen first.
    """
    first: str | None = None

    def wanted(now: model.Volume) -> model.VolumeChange | None:
        nonlocal first
        if first is None and now.state.settled:
            first = now.etag
        change = hook(now)
        if change is None and now.etag == first:
            return model.VolumeChange(acl=now.acl, ip_acl=now.ip_acl)
        return change

    return wanted
