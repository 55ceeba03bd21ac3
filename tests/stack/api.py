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
"""Serves the Block Storage API, as a WSGI server of a deployment does.

Takes the arguments of Cinder's commands. Writes the address it listens on,
without a path, to the file named by the variable ``STACK_API_ADDRESS``.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pathlib
import signal
import threading
import types

# Releases before 29 serve the API unpatched unless it is run by eventlet.
if importlib.util.find_spec('cinder.monkey_patch'):
    importlib.import_module('cinder.monkey_patch').patch()

from cinder.wsgi import wsgi as cinder_wsgi  # noqa: E402

from tests.embedded import wsgi  # noqa: E402
from tests.stack import ports  # noqa: E402
from tests.stack import settings  # noqa: E402


def main() -> None:
    ended = threading.Event()

    def end(signum: int, frame: types.FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    server = wsgi.ApiServer(cinder_wsgi.initialize_application(), ports.HOST)
    server.start()
    address = pathlib.Path(os.environ[settings.API_ADDRESS])
    fresh = address.with_suffix('.new')
    fresh.write_text(server.url)
    fresh.rename(address)
    # A signal does not wake a waiting thread in every threading model.
    while not ended.wait(0.2):
        pass
    server.stop()


if __name__ == '__main__':
    main()
