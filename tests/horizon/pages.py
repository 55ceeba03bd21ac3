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
"""Horizon's pages: tables of things, and the dialogs of their actions."""

from __future__ import annotations

from tests.embedded.demo import console
from tests.horizon import browser
from tests.horizon import identity

_DIALOG = '.modal-dialog'
_COMPLAINTS = '.alert-danger, .alert-warning, .help-block.alert'


def log_in(window: browser.Browser, account: identity.Account, path: str
           ) -> None:
    """Log in, after whoever was there, and go to a page."""
    window.forget()
    window.open(f'/auth/login/?next={path}')
    window.fill('#id_username', account.user)
    window.fill('#id_password', account.password)
    window.leave('#loginBtn')
    expect_no_complaint(window)


def expect_no_complaint(window: browser.Browser) -> None:
    """Nothing on the page may tell of an error.

    :raises Deviation: something does.
    """
    told = window.texts(_COMPLAINTS)
    console.expect(not told, f'Horizon says {told}')


class Dialog:
    """The dialog that is open."""

    def __init__(self, window: browser.Browser) -> None:
        self._window = window
        window.find(f'{_DIALOG} .modal-footer')

    def fill(self, **fields: str) -> None:
        """Have text fields hold something, by their names."""
        for name, text in fields.items():
            self._window.fill(f'{_DIALOG} [name="{name}"]', text)

    def choose(self, field: str, text: str) -> None:
        """Open a drop-down list and take what it calls `text`."""
        menu = f'{_DIALOG} .themable-select:has(select[name="{field}"])'

        def look() -> bool:
            if self._window.press_text(f'{menu} li a', text):
                return True
            self._window.press(f'{menu}:not(.open) button')
            return False

        self._window.until(look, f'{text} among {field}')

    def offers(self, field: str) -> list[str]:
        """Return what a drop-down list has, and close it again."""
        menu = f'{_DIALOG} .themable-select:has(select[name="{field}"])'
        self._window.click(f'{menu} button')
        self._window.find(f'{menu} li a')
        found = self._window.texts(f'{menu} li a')
        self._window.click(f'{menu} button')
        return found

    def submit(self) -> None:
        """Press the button that does it; wait until the dialog is gone.

        :raises TimeoutException: it stays.
        :raises Deviation: the page tells of an error.
        """
        self._window.leave(f'{_DIALOG} .modal-footer .btn:not(.cancel)')
        expect_no_complaint(self._window)


class Table:
    """A page that is a table.

    :param path: of the page.
    :param name: of the table.
    """

    def __init__(self, window: browser.Browser, path: str, name: str
                 ) -> None:
        self._window = window
        self._path = path
        self._css = f'table#{name}'
        self._name = name

    def open(self) -> None:
        """Go to the page, and expect it to tell of no error."""
        self._window.open(self._path)
        self._window.find(self._css)
        expect_no_complaint(self._window)

    def begin(self, action: str) -> Dialog:
        """Press a button above the table."""
        self._window.click(f'#{self._name}__action_{action}')
        return Dialog(self._window)

    def act(self, item: str, action: str) -> Dialog:
        """Take an action on a row."""
        row = self._row(item)

        def look() -> bool:
            if self._window.press(f'{row} [id$="__action_{action}"]'):
                return True
            self._window.press(f'{row} .btn-group:not(.open) '
                               f'.dropdown-toggle')
            return False

        self._window.until(look, f'{item} to take {action}')
        return Dialog(self._window)

    def follow(self, item: str) -> None:
        """Go where the name in a row leads."""
        self._window.click(f'{self._row(item)} td.anchor a')

    def cells(self, item: str) -> dict[str, str]:
        """Return what a row says, by column; nothing if there is none."""
        heads = self._window.texts(f'{self._css} .table_column_header th')
        return dict(zip(heads, self._window.texts(f'{self._row(item)} td'),
                        strict=False))

    def wait(self, item: str, timeout: float = 120.0, **wanted: str) -> None:
        """Wait until a row says something, without loading the page again.

        :param wanted: by column.
        """
        def look() -> bool:
            cells = self.cells(item)
            console.expect(cells.get('Status', '') != 'Error',
                           f'{item} is in error')
            return wanted.items() <= cells.items()

        self._window.until(look, f'{item} to be {wanted}', timeout)

    def wait_gone(self, item: str) -> None:
        """Wait until there is no such row, without loading the page again."""
        self._window.until(lambda: not self.cells(item),
                           f'{item} to be gone')

    def _row(self, item: str) -> str:
        return f'{self._css} tr[data-display="{item}"]'
