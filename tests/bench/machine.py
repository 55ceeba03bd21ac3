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

"""What figures were measured on, and with."""

from __future__ import annotations

from importlib import metadata
import os
import pathlib
import platform
from typing import Any

from oslo_service import backend

_CPUINFO = pathlib.Path('/proc/cpuinfo')
_MODEL = 'model name'


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(encoding='utf-8').splitlines():
            key, _, value = line.partition(':')
            if key.strip() == _MODEL:
                return value.strip()
    return platform.machine()


def describe() -> dict[str, Any]:
    """:returns: the machine, versions, and how busy it is now."""
    return {
        'processor': _processor(), 'cores': os.cpu_count(),
        'load': os.getloadavg()[0], 'python': platform.python_version(),
        'cinder': metadata.version('cinder'),
        'threads': backend.get_backend_type().name.lower()}
