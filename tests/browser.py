"""A headless Chromium for tests, servers for its pages, and the handling of missing tools."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
import uvicorn

CHROMIUM = os.environ.get("PIXELNOVA_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def missing(remedy: str) -> NoReturn:
    """Skip a test whose tool is missing. Under .ci/run, which installs the tools, fail it."""
    if "PIXELNOVA_CI" in os.environ:
        pytest.fail(remedy)
    pytest.skip(remedy)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, shared by the tests of a file."""
    if not CHROMIUM:
        missing("Chromium is missing: apt-get install chromium, or set PIXELNOVA_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def running(app: Any) -> Iterator[int]:
    """Serve an ASGI app on a free port of 127.0.0.1; yields the port."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "The server did not start."
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
