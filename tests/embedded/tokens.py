#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Authentication for a service that has no Identity service beside it.

Takes the place of ``keystonemiddleware`` in the paste pipeline. A token names
user, project and roles itself and starts with a secret that only the process
that started the service knows; Cinder's own ``keystonecontext`` filter and
policies do the rest. Version discovery needs no token, which is what the SDK
expects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
import dataclasses
import hmac
from typing import Any

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_SEPARATOR = '.'

# What the filter alone may say.
_TOLD = ('HTTP_X_USER', 'HTTP_X_PROJECT', 'HTTP_X_ROLE', 'HTTP_X_TENANT',
         'HTTP_X_SERVICE_ROLE')
_SERVICE_TOKEN = 'HTTP_X_SERVICE_TOKEN'


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from; no field may contain a dot or a comma."""

    user: str
    project: str
    roles: tuple[str, ...]

    def token(self, secret: str) -> str:
        """Return the text to send as ``X-Auth-Token``."""
        return _SEPARATOR.join(
            (secret, self.user, self.project, ','.join(self.roles)))


ADMIN = Identity('admin', 'demo', ('admin', 'member', 'reader'))
# Another service of the cloud, which says so beside the token of a user.
SERVICE = Identity('nova', 'service', ('service',))


def parse(token: str, secret: str) -> Identity | None:
    """Return the identity a token stands for, or None if it is not ours."""
    parts = token.split(_SEPARATOR)
    if len(parts) != 4 or not hmac.compare_digest(
            parts[0].encode(), secret.encode()):
        return None
    _secret, user, project, roles = parts
    if not user or not project:
        return None
    return Identity(user, project, tuple(filter(None, roles.split(','))))


class TokenFilter:
    """WSGI filter that turns a token into the headers of Identity v3."""

    def __init__(self, app: WSGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret

    def __call__(self, environ: Environ,
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name in [name for name in environ
                     if name.startswith(_TOLD)]:
            del environ[name]
        identity = self._identify(environ)
        if identity is None:
            start_response('401 Unauthorized',
                           [('Content-Type', 'text/plain'),
                            ('Content-Length', '0')])
            return [b'']
        environ['HTTP_X_IDENTITY_STATUS'] = 'Confirmed'
        environ['HTTP_X_USER_ID'] = identity.user
        environ['HTTP_X_USER_NAME'] = identity.user
        environ['HTTP_X_PROJECT_ID'] = identity.project
        environ['HTTP_X_PROJECT_NAME'] = identity.project
        environ['HTTP_X_ROLES'] = ','.join(identity.roles)
        service = parse(environ.get(_SERVICE_TOKEN, ''), self._secret)
        if service is not None:
            environ['HTTP_X_SERVICE_ROLES'] = ','.join(service.roles)
        return self._app(environ, start_response)

    def _identify(self, environ: Environ) -> Identity | None:
        token = environ.get('HTTP_X_AUTH_TOKEN')
        if token is not None:
            return parse(token, self._secret)
        if environ.get('PATH_INFO', '') in ('', '/'):
            return Identity('anonymous', 'anonymous', ())
        return None


def filter_factory(global_conf: dict[str, str],
                   secret_file: str) -> Callable[[WSGIApp], TokenFilter]:
    """Build the filter for paste.

    :param secret_file: path of the file that holds the tokens' secret.
    """
    with open(secret_file, encoding='ascii') as stream:
        secret = stream.read().strip()
    return lambda app: TokenFilter(app, secret)
