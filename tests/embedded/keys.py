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

"""A key manager that keeps keys in files, so that tests can see them.

Every volume has a key of its own, as with Barbican; Cinder's own stand-in has
one for all.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any
import uuid

from castellan.common import exception
from castellan.common.objects import symmetric_key
from castellan.key_manager import key_manager
from oslo_config import cfg

FOLDER = 'keys'


class FileKeyManager(key_manager.KeyManager):
    """Keeps the bytes of a key in a file that is named as the key."""

    def __init__(self, configuration: cfg.ConfigOpts | None = None) -> None:
        state = (configuration or cfg.CONF).state_path
        self._folder = pathlib.Path(state, FOLDER)
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def create_key(self, context: Any, algorithm: str, length: int,
                   expiration: Any = None, name: str | None = None) -> str:
        """Make a key of `length` bits; return its id."""
        return self.store(context, symmetric_key.SymmetricKey(
            algorithm, length, os.urandom(length // 8)))

    def create_key_pair(self, *_args: Any, **_kwargs: Any) -> Any:
        """Nobody asks for one."""
        raise NotImplementedError

    def store(self, context: Any, managed_object: Any,
              expiration: Any = None) -> str:
        """Keep a key; return its id."""
        key_id = str(uuid.uuid4())
        (self._folder / key_id).write_bytes(managed_object.get_encoded())
        return key_id

    def get(self, context: Any, managed_object_id: str,
            metadata_only: bool = False) -> Any:
        """Return a key."""
        data = self._path(managed_object_id).read_bytes()
        return symmetric_key.SymmetricKey('aes', len(data) * 8, data,
                                          id=managed_object_id)

    def delete(self, context: Any, managed_object_id: str,
               force: bool = False) -> None:
        """Forget a key."""
        self._path(managed_object_id).unlink()

    def list(self, context: Any, object_type: Any = None,
             metadata_only: bool = False) -> Any:
        """Nobody asks for it."""
        raise NotImplementedError

    def add_consumer(self, *_args: Any, **_kwargs: Any) -> Any:
        """Nobody asks for it."""
        raise NotImplementedError

    def remove_consumer(self, *_args: Any, **_kwargs: Any) -> Any:
        """Nobody asks for it."""
        raise NotImplementedError

    def _path(self, key_id: str) -> pathlib.Path:
        path = self._folder / key_id
        if not path.is_file():
            raise exception.ManagedObjectNotFoundError(uuid=key_id)
        return path
