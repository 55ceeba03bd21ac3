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

"""How property tests run here: quickly, and the same way every time."""

import hypothesis
from hypothesis import strategies as st

PROPERTY = hypothesis.settings(deadline=None, max_examples=100,
                               derandomize=True, database=None)

UUIDS = st.uuids().map(str)
