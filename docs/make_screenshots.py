"""Pictures of the report's page for docs/report.md, taken in Debian's Chromium: `make screenshots`.

`python docs/make_screenshots.py PAGE` takes them of any page. What `browser` gives is also what its tests drive.
"""

import base64
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium import webdriver

PICTURES = Path(__file__).parent / "pictures"
COLOURS = 128  # of a picture: the page has few
PATIENCE = 3600  # seconds: ends what hangs, not what is slow
CHOSEN, MOVED = "retention.retention", "li_rinzel.ip3"


def installed() -> bool:
    """Whether there is a browser to drive; `make browser` installs it."""
    return all(map(shutil.which, ("chromium", "chromedriver")))


@contextmanager
def browser(width: int = 1280, height: int = 900) -> Iterator[webdriver.Chrome]:
    """A window of Chromium without a network, closed when this is left."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    # no name leads anywhere; a container has no sandbox to offer, and little shared memory
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars",
                   "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(PATIENCE)
        driver.set_page_load_timeout(PATIENCE)
        driver.command_executor.client_config.timeout = PATIENCE
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, "latency": 0,
                                                                    "downloadThroughput": 0, "uploadThroughput": 0})
        resize(driver, width, height)
        yield driver
    finally:
        driver.quit()


def resize(driver: webdriver.Chrome, width: int, height: int = 900) -> None:
    """Give the page so many pixels."""
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height,
                                                                  "deviceScaleFactor": 1, "mobile": False})


def look(driver: webdriver.Chrome, *, dark: bool = False, media: str = "") -> None:
    """Light or dark, screen or print."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})


def take(driver: webdriver.Chrome, name: str, above: str, *, rise: int = 0) -> Path:
    """A picture of the window with the element at the CSS address `above` at its top."""
    driver.execute_script("scrollTo(0, document.querySelector(arguments[0]).getBoundingClientRect().top + scrollY - "
                          "arguments[1])", above, rise)
    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    data = base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
    path = PICTURES / f"report_{name}.png"
    Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    return path


def main(page: Path) -> None:
    """All pictures of a page."""
    with browser(1280, 1000) as driver:
        driver.get(page.absolute().as_uri())
        choose = f"[...document.querySelectorAll('.node')].find(one => one.textContent === '{CHOSEN}').click()"
        driver.execute_script(choose)
        paths = [take(driver, "chain", "h1")]
        slider = driver.find_element("css selector", f"[data-parameter='{MOVED}']")
        driver.execute_script("arguments[0].value = arguments[0].max; arguments[0].dispatchEvent(new Event('input'))",
                              slider)
        paths.append(take(driver, "sliders", "#move", rise=60))
        look(driver, dark=True)
        resize(driver, 390, 844)
        paths.append(take(driver, "narrow", "#move", rise=60))
    for path in paths:
        print(f"{os.path.relpath(path)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
