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
"""Settings of the dashboard: what a deployment has in ``local_settings.py``.

Horizon imports this by that name; :mod:`tests.horizon.dashboard` sees to it
that this one is found, and sets the variables.
"""

from __future__ import annotations

import os
import pathlib
import secrets
from typing import Any

_FOLDER = pathlib.Path(os.environ['HORIZON_FOLDER'])

OPENSTACK_KEYSTONE_URL = os.environ['HORIZON_KEYSTONE_URL']
OPENSTACK_KEYSTONE_DEFAULT_ROLE = 'member'

ALLOWED_HOSTS = ['127.0.0.1']
# One process has all sessions, and they end with it.
SECRET_KEY = secrets.token_hex(32)
CACHES = {'default': {
    'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}

STATIC_ROOT = str(_FOLDER / 'static')
COMPRESS_OFFLINE = True
AVAILABLE_THEMES = [('default', 'Default', 'themes/default')]
LANGUAGES = (('en', 'English'),)

OPENSTACK_CINDER_FEATURES = {'enable_backup': False}

LOGGING: dict[str, Any] = {
    'version': 1,
    'disable_existing_loggers': False,
    'handlers': {'console': {'class': 'logging.StreamHandler'}},
    'root': {'handlers': ['console'], 'level': 'INFO'}}
