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

"""What can go wrong with a copy.

::

    FederationError
     +- CopyError          a copy did not end; nothing of it is in use
         +- Cancelled      somebody asked for its end
         +- Left           the copy is gone on with by somebody else
         |   +- Lost       another host has taken it over already
         +- Interrupted    this host or its helper does not work for now
         +- Unsuitable     source and target cannot be copied
             +- Touched    the source was used while it was copied
         +- ContentDiffers what was read back is not what was written
"""

from __future__ import annotations

from cinder_lightbits_federation import errors


class CopyError(errors.FederationError):
    """A copy did not end; whatever it had made is not in use."""


class Cancelled(CopyError):
    """The end of the copy was asked for; both clusters are to be as before."""


class Left(CopyError):
    """Somebody else goes on with the copy: leave all that it has made."""


class Lost(Left):
    """Another host has taken the copy over: touch nothing of it any more."""


class Interrupted(CopyError):
    """This host could not attach, copy or detach; that may pass."""


class Unsuitable(CopyError):
    """The volume cannot be copied there; nothing was made."""


class Touched(Unsuitable):
    """Somebody has used the volume while it was to be moved; it stays."""


class ContentDiffers(CopyError):
    """The target gives back something else than was written to it."""
