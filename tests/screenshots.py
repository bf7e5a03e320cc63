"""Takes the screenshots for the docs: `make screenshots` runs the dashboard over the current data folder.

Reads the published version, writes docs/screenshots. Chromium may reach only this machine.
"""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, sync_playwright

from orchestration.settings import data_folder
from tests.browser import ARGUMENTS, CHROMIUM
from tests.conftest import PROJECT
from tests.dashboard_process import IDLE, SHOWN, dashboard

FOLDER = PROJECT / "docs" / "screenshots"
SHOTS = {
    "overview": "?period=7+days",
    "funnel": "funnel",
    "journeys": "journeys",
    "experiments": "experiments",
}
WIDTH, HEIGHT = 1280, 1000
SECONDS = 120


def loopback_only(route: Route) -> None:
    """Abort requests to other machines."""
    if urlsplit(route.request.url).hostname in ("127.0.0.1", None):
        route.continue_()
    else:
        route.abort()


def take(page: Page, url: str, file: Path) -> None:
    """Open a page, wait until it is drawn, and save it."""
    page.goto(url)
    page.wait_for_selector(SHOWN)
    page.wait_for_function(IDLE)
    page.wait_for_timeout(2000)  # for charts, which are drawn after the script is idle
    page.screenshot(path=file)


def main() -> None:
    """Take all screenshots."""
    FOLDER.mkdir(exist_ok=True)
    with dashboard(data_folder()) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        context.route("**/*", loopback_only)
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        for name, path in SHOTS.items():
            take(page, f"{address}/{path}", FOLDER / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
