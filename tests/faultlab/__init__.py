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
"""Many operations while everything around them breaks, and what is left.

A plan made from a seed says when users ask for what and when what breaks:
services are killed or stand still, clusters die, flap or answer badly, the
database, the broker and the lock service are restarted. Then things settle,
an operator cleans up, and everything is compared.

``tools/faultlab.sh --minutes N --seed S`` runs it.
"""
