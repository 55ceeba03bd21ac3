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

"""Brings a test process into the threading model of a Cinder service.

Cinder chooses the model: eventlet monkey patching by default, native
threads when ``OS_CINDER_DISABLE_EVENTLET_PATCHING`` says so. The packages
under test must work in both and therefore import neither.

This is a module of its own, and not part of ``tests/__init__.py``, because
the simulator and the embedded Cinder are started as ``python -m tests...``
and choose for themselves.
"""

import importlib
import importlib.util


def prepare() -> None:
    """Patch this process as Cinder would and load Cinder's objects.

    Idempotent. Must run before anything imports the modules that eventlet
    replaces.

    :raises ValueError: the environment variable has a value that Cinder
        does not understand.
    """
    if importlib.util.find_spec('cinder.monkey_patch') is None:
        # Releases before 29 know eventlet only and patch inside the package
        # of their own unit tests, which also loads the objects.
        importlib.import_module('cinder.tests.unit')
        return
    importlib.import_module('cinder.monkey_patch').patch()
    importlib.import_module('cinder.objects').register_all()
