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

"""Hosts and volumes for tests of access lists."""

import dataclasses

from cinder_lightbits_federation import access
from cinder_lightbits_federation.lightbits import model

ANY = frozenset({model.ALLOW_ANY})
NOBODY = frozenset()


def nqn(name):
    return f'nqn.2014-08.org.nvmexpress:uuid:{name}'


def host(name, *addresses, others=()):
    return access.HostAccess(nqn(name), tuple(addresses), name, others)


def volume(*hosts, ip_acl=None, acl=None):
    """A volume as if granted to hosts, or with the lists given."""
    addresses = frozenset(address for one in hosts
                          for address in one.addresses)
    return model.Volume(
        uuid='c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e77', name='volume-1',
        project='default', state=model.VolumeState.AVAILABLE, size=1,
        etag='1',
        acl=frozenset(one.nqn for one in hosts) if acl is None else acl,
        ip_acl=addresses if ip_acl is None else ip_acl)


def applied(before, change):
    if change is None:
        return before
    return dataclasses.replace(before, acl=change.acl, ip_acl=change.ip_acl)
