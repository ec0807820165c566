"""A real browser, driven without a screen."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

WAITS = 10.0  # seconds, at most
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "chromium-driver")
MISSING = (
    "No browser: install Chromium and its driver (apt-get install chromium chromium-driver), or run the suite in "
    "containers: docker compose run --rm tests"
)
FLAGS = (
    "--headless",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-dev-shm-usage",  # small in a container
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# WCAG 2.1, 1.4.3: the contrast between an element's text and what is behind it.
CONTRAST = """
const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
let behind = arguments[0];
while (behind && (channels(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
const one = luminance(channels(getComputedStyle(arguments[0]).color));
const other = luminance(behind ? channels(getComputedStyle(behind).backgroundColor) : [255, 255, 255]);
return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
"""


def programs():
    """Return the paths of the browser and its driver; where there are none, CI fails and others skip, and say why."""
    found = find()
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    return found


def find():
    """Return the paths of the browser and its driver, installed by apt-get where that is possible; None for neither."""
    found = _installed()
    if found is None and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = [apt, "-qq", "install", "--yes", "--no-install-recommends", *PACKAGES]
        for command in ([apt, "-qq", "update"], install):
            subprocess.run(command, env=quietly, check=False, stdout=subprocess.DEVNULL, timeout=300)
        found = _installed()
    return found


def _installed():
    found = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    return None if None in found else found


class Browser:
    """One window, and what the tests ask of it."""

    def __init__(self, programs, profile: Path, screenshots: Path, url: str = "") -> None:
        options = webdriver.ChromeOptions()
        options.binary_location, driver = programs
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.screenshots = screenshots
        self.url = url

    def look(self, *, width=1200, height=800, scheme="light") -> None:
        """Be a window of this size, in the light or the dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def log_in(self, name: str, password: str) -> None:
        self.driver.delete_all_cookies()
        self.open("/admin/login/?next=/admin/")
        self.type("username", name)
        self.type("password", password)
        self.press("Log in")

    def type(self, name: str, text: str) -> None:
        field = self.driver.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)

    def press(self, text: str) -> None:
        """Press the button or the link that reads so, and wait for the page that follows."""
        path = f"//a[normalize-space()='{text}'] | //button[normalize-space()='{text}'] | //input[@value='{text}']"
        shown = [one for one in self.driver.find_elements(By.XPATH, path) if one.is_displayed()]
        assert shown, f"{text!r} is not on the page:\n{self.text()}"
        self._leave_by(shown[0])

    def act(self, action: str) -> None:
        """Mark all rows of a list, and run an action on them."""
        self.one("#action-toggle").click()
        Select(self.one("select[name=action]")).select_by_visible_text(action)
        self._leave_by(self.one("button[name=index]"))

    def _leave_by(self, element) -> None:
        """Click, and wait for the whole of the page that follows."""
        self.driver.execute_script("window.isLeft = true")
        element.click()
        # Of a page that is going, the driver may say anything.
        WebDriverWait(self.driver, WAITS, ignored_exceptions=[WebDriverException]).until(
            lambda driver: driver.execute_script("return !window.isLeft && document.readyState === 'complete'")
        )

    def one(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def eventually(self, selector: str, texts: list[str]) -> None:
        """Wait until these elements read so."""
        WebDriverWait(self.driver, WAITS).until(
            lambda _: (
                self.driver.execute_script(
                    "return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)", selector
                )
                == texts
            )
        )

    def text(self, selector: str = "main, #content") -> str:
        return self.one(selector).text

    def contrast(self, element) -> float:
        return self.driver.execute_script(CONTRAST, element)

    def is_too_wide(self) -> bool:
        return self.driver.execute_script("return document.documentElement.scrollWidth > innerWidth")

    def keep(self, name: str) -> None:
        """Keep a picture of the whole page."""
        self.screenshots.mkdir(parents=True, exist_ok=True)
        shot = self.driver.get_screenshot_as_png()
        (self.screenshots / f"{name}.png").write_bytes(shot)
