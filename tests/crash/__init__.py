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

"""A volume service that dies anywhere, and what becomes of its work.

An operation is run in a real ``VolumeManager`` with the real driver, on a
real database and over HTTPS against simulated clusters, and is killed after
its first effect, its second, and so on. Another service then goes on the way
Cinder, a user or an operator would, and everything is compared: the
database, the clusters, and what belongs to others.

``python -m tests.crash`` runs all of it and writes the reference page.
"""

from tests import patching; patching.prepare()  # noqa: E702
