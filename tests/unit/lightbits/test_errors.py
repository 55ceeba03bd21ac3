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

"""Which status means what."""

from oslotest import base

from cinder_lightbits_federation.lightbits import errors


def chosen(status: int, message: str = 'no', *, write: bool = False,
           documented: bool = True) -> type[errors.LightbitsError]:
    return type(errors.for_status(status, message, write=write,
                                  documented=documented))


class ForStatusTestCase(base.BaseTestCase):

    def test_documented(self) -> None:
        for status, kind in (
                (400, errors.BadRequest), (401, errors.Unauthorized),
                (403, errors.Forbidden), (404, errors.NotFound),
                (409, errors.Conflict), (412, errors.PreconditionFailed),
                (429, errors.TooManyRequests), (501, errors.Unsupported),
                (503, errors.Unavailable)):
            for write in (False, True):
                self.assertIs(kind, chosen(status, write=write))

    def test_internal_errors_leave_writes_in_doubt(self) -> None:
        for status in (408, 418, 500, 502, 504):
            self.assertIs(errors.ServerError, chosen(status))
            self.assertIs(errors.Ambiguous, chosen(status, write=True))

    def test_a_mismatch_in_disguise(self) -> None:
        text = "provided etag 1 don't match current etag 0 code:412"
        for write in (False, True):
            self.assertIs(errors.PreconditionFailed,
                          chosen(500, text, write=write))

    def test_other_bodies_prove_nothing(self) -> None:
        for status in (200, 302, 400, 404, 405, 409, 412, 429, 500, 503):
            self.assertIs(errors.Ambiguous, chosen(status, write=True,
                                                   documented=False))
        for status in (200, 302, 400, 404, 405, 429):
            self.assertIs(errors.InvalidReply,
                          chosen(status, documented=False))
        for status in (500, 502, 503):
            self.assertIs(errors.ServerError,
                          chosen(status, documented=False))

    def test_the_gate_keeper_needs_no_form(self) -> None:
        for write in (False, True):
            self.assertIs(errors.Unauthorized, chosen(
                401, write=write, documented=False))
            self.assertIs(errors.Forbidden, chosen(
                403, write=write, documented=False))

    def test_text(self) -> None:
        error = errors.for_status(404, 'no such volume', write=False,
                                  documented=True, code=5)
        error.located('east', 'volumes.get')
        self.assertEqual(
            'cluster east: volumes.get: no such volume (HTTP 404)',
            str(error))
        assert isinstance(error, errors.NotFound)
        self.assertEqual((404, 5), (error.status, error.code))

    def test_what_is_known_first_stays(self) -> None:
        error = errors.Ambiguous('lost', cluster='east', operation='x')
        self.assertIs(error, error.located('west', 'y'))
        self.assertEqual('cluster east: x: lost', str(error))
