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
"""A headless Chromium, and what people do with pages of Horizon."""

from __future__ import annotations

from collections.abc import Callable
import os
import pathlib
import types
from typing import TypeVar

from selenium.common import exceptions
from selenium import webdriver
from selenium.webdriver.common import by
from selenium.webdriver.remote import webelement
from selenium.webdriver.support import expected_conditions as conditions
from selenium.webdriver.support import wait as support

from tests.stack import programs

T = TypeVar('T')

CSS = by.By.CSS_SELECTOR

_PATIENCE = 120.0
# Pixels of a page, which is what a screenshot shows.
_WIDTH, _HEIGHT = 1200, 800


class Browser:
    """One window.

    :param folder: takes the profile and the driver's log.
    :param base: address that paths are relative to.
    :param pictures: folder that takes screenshots; None for none.
    """

    def __init__(self, folder: pathlib.Path, base: str,
                 pictures: pathlib.Path | None) -> None:
        self._base = base
        self._pictures = pictures
        self._driver = webdriver.Chrome(
            options=_options(folder),
            service=webdriver.ChromeService(
                executable_path=programs.find('chromedriver'),
                log_output=str(folder / 'chromedriver.log')))

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self._driver.quit()

    def open(self, path: str) -> None:
        """Load a page.

        :param path: begins with a slash.
        """
        self._driver.get(self._base + path)

    def forget(self) -> None:
        """Drop all cookies, and with them who is logged in."""
        self._driver.delete_all_cookies()

    def texts(self, css: str) -> list[str]:
        """Return what elements of the page say, as a person reads it."""
        return [item.text for item in self._driver.find_elements(CSS, css)]

    def find(self, css: str) -> webelement.WebElement:
        """Wait for an element that a person sees, and return it.

        :raises TimeoutException: there is none.
        """
        return self.until(lambda: self._visible(css), css)

    def click(self, css: str) -> None:
        """Click on an element, as soon as that is possible."""
        self.until(lambda: self.press(css), f'{css} to take a click')

    def press(self, css: str) -> bool:
        """Click on an element if a person sees it; tell whether."""
        seen = self._visible(css)
        if seen is not None:
            seen.click()
        return seen is not None

    def press_text(self, css: str, text: str) -> bool:
        """Click on the element with a text if it is seen; tell whether."""
        for item in self._driver.find_elements(CSS, css):
            if item.is_displayed() and item.text == text:
                item.click()
                return True
        return False

    def leave(self, css: str) -> None:
        """Click on what leads to another page, or loads this one again.

        :raises TimeoutException: the page stays.
        """
        page = self.find('html')
        self.click(css)
        self.until(lambda: conditions.staleness_of(page)(self._driver),
                   f'{css} to leave the page')
        self.find('#main_content')

    def fill(self, css: str, text: str) -> None:
        """Have a field hold a text and nothing else."""
        field = self.find(css)
        field.clear()
        field.send_keys(text)

    def until(self, look: Callable[[], T | None], what: str,
              timeout: float = _PATIENCE) -> T:
        """Wait until `look` returns something true, and return that.

        Elements that the page replaces meanwhile are looked for again.

        :raises TimeoutException: that it waited for `what`.
        """
        patient = support.WebDriverWait(
            self._driver, timeout, poll_frequency=0.2,
            ignored_exceptions=(exceptions.NoSuchElementException,
                                exceptions.StaleElementReferenceException,
                                exceptions.ElementClickInterceptedException,
                                exceptions.ElementNotInteractableException))
        found: T = patient.until(lambda _driver: look() or False,
                                 f'waited for {what}')
        return found

    def picture(self, name: str) -> None:
        """Keep what the window shows as ``<name>.png``."""
        if self._pictures is not None:
            self.save(self._pictures / f'{name}.png')

    def save(self, path: pathlib.Path) -> None:
        """Keep what the window shows in a file, in the form PNG."""
        self._driver.save_screenshot(str(path))

    def _visible(self, css: str) -> webelement.WebElement | None:
        return next((item for item in self._driver.find_elements(CSS, css)
                     if item.is_displayed()), None)


def _options(folder: pathlib.Path) -> webdriver.ChromeOptions:
    options = webdriver.ChromeOptions()
    options.binary_location = programs.find('chromium')
    for argument in ('--headless=new', '--disable-dev-shm-usage',
                     '--disable-gpu', '--hide-scrollbars', '--lang=en',
                     f'--window-size={_WIDTH},{_HEIGHT}',
                     f'--user-data-dir={folder / "profile"}'):
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Chromium refuses to confine itself when root runs it.
        options.add_argument('--no-sandbox')
    return options
