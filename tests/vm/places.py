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

"""Where things are in the guest."""

import pathlib

# Of this machine's, to be read when the guest has gone.
LOG = pathlib.Path('/run/share/log')
CINDER_LOG = pathlib.Path('/run/share/cinder-log')
FIGURES = pathlib.Path('/run/share/figures.json')

# Of this guest, for the nodes of clusters without Cinder, and with it.
HOST_IPV6 = tuple(f'fd00::1:{node}' for node in (1, 2, 3))
CLOUD_IPV6 = tuple(f'fd00::2:{node}' for node in (1, 2, 3))
LOCKS = pathlib.Path('/run/locks')

DROP_INS = pathlib.Path('/etc/discovery-client/discovery.d')
# In memory; volumes are files there.
SIMULATOR = pathlib.Path('/dev/shm/simulator')  # noqa: S108 - in the guest
