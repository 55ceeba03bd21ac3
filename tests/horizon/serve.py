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
"""Serves a WSGI application until it is ended.

``python -m tests.horizon.serve HOST PORT MODULE:NAME``
"""

from __future__ import annotations

import pkgutil
import sys

import waitress

# Horizon asks Keystone and Cinder for several things at a time.
_THREADS = 8


def main() -> None:
    host, port, application = sys.argv[1:]
    # Keystone takes what it finds here for its own.
    del sys.argv[1:]
    waitress.serve(pkgutil.resolve_name(application), host=host, port=port,
                   threads=_THREADS, ident=None)


if __name__ == '__main__':
    main()
