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
"""Users of a whole cloud: Horizon in a browser, and the command line.

Keystone and Horizon run as they are released, in front of the Cinder of
``tests/stack``, which authenticates with keystonemiddleware here. A headless
Chromium is what people would use. ``tools/horizon.sh`` runs it.
"""
