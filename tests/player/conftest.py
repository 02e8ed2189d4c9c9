"""A way to open the player's page in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a page and waits until it is drawn; afterwards no page may have complained or asked for another file."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_it(path: Path, address: str = "", width: int = 420, height: int = 420) -> Page:
        page = browser.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: note_request(request.url, path))
        page.goto(f"{path.as_uri()}{address}")
        page.evaluate("window.player.ready.then(() => true)")
        return page

    def note_request(url: str, path: Path) -> None:
        if not url.startswith(("blob:", "data:", path.as_uri())):
            complaints.append(f"asked for {url}")

    yield open_it
    for page in pages:
        page.close()
    assert not complaints
