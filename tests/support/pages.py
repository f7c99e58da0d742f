# SPDX-License-Identifier: BSD-3-Clause
"""Pages in a browser, which must stay silent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

# The library of charts is packed: they are drawn once it is there.
DRAWN = "() => !document.getElementById('plotly') || document.body.dataset.drawn"
# A page opened at a width; after the test it must have been silent and have asked for nothing.
OpenPage = Callable[..., Page]


@contextmanager
def silent_page(browser: Browser, path: Path, width: int = 1400) -> Iterator[Page]:
    """Open an HTML file; at the end: no console message, no error, no request but for the file."""
    noise: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("console", lambda message: noise.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: noise.append(f"error: {error}"))
    page.on("request", lambda request: noise.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function(DRAWN)
    yield page
    page.close()
    assert noise == [path.as_uri()]
