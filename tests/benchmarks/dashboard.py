"""Measures the dashboard in a browser and the analytics API over a published version.

Every page is opened once to warm the caches, then timed in new browser tabs: until its figures are shown and the script
is idle; then with another filter. The API is asked for every metric, by date and by channel where it can be split so.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright

from orchestration.settings import data_folder
from serving.analytics.store import Stores
from serving.api import ApiSettings, create_api
from serving.api.keys import add_key, keys_file, revoke_key
from tests.browser import ARGUMENTS, CHROMIUM
from tests.conftest import PROJECT
from tests.screenshots import loopback_only

PAGES = ("overview", "funnel", "products", "visitors", "journeys", "recommendations", "experiments", "pipeline")
ROUNDS = 3
SECONDS = 300
SHOWN = "[data-testid=stMetricValue], [data-testid=stAlert], [data-testid=stDataFrame]"
IDLE = "!document.querySelector('[data-testid=stStatusWidget]')"


def page_seconds(browser: Browser, address: str, name: str, query: str = "") -> float:
    """How long a page takes in a new tab."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route("**/*", loopback_only)
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    begun = time.monotonic()
    page.goto(f"{address}/{'' if name == PAGES[0] else name}{query}")
    page.wait_for_selector(SHOWN)
    page.wait_for_function(IDLE)
    seconds = time.monotonic() - begun
    context.close()
    return seconds


def filter_seconds(browser: Browser, address: str, name: str) -> float:
    """How long an open page takes after another device was chosen."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route("**/*", loopback_only)
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.goto(f"{address}/{'' if name == PAGES[0] else name}")
    page.wait_for_selector(SHOWN)
    page.wait_for_function(IDLE)
    page.get_by_label("Device", exact=False).first.click()
    option = page.get_by_role("option", name="desktop")
    option.wait_for()
    begun = time.monotonic()
    option.click()
    page.wait_for_url("**device=desktop**")
    page.wait_for_function(IDLE)
    seconds = time.monotonic() - begun
    context.close()
    return seconds


def dashboard(data: Path) -> dict[str, Any]:
    """Seconds per page: first, warm, and with another filter; medians of the last two."""
    command = [sys.executable, "-m", "orchestration.cli", "--data", str(data), "dashboard", "--port", "0"]
    server = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().rpartition(" ")[2].strip()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            found = {}
            for name in PAGES:
                first = page_seconds(browser, address, name)
                warm = median(page_seconds(browser, address, name) for _ in range(ROUNDS))
                filtered = median(filter_seconds(browser, address, name) for _ in range(ROUNDS))
                found[name] = {"first": round(first, 2), "warm": round(warm, 2), "filter": round(filtered, 2)}
                print(name, found[name], flush=True)
            browser.close()
        return found
    finally:
        server.terminate()
        server.wait(60)


async def api(data: Path) -> dict[str, float]:
    """Milliseconds per request of the analytics API, in this process."""
    store = Stores(data).newest()
    shop = store.shops()[0].shop
    key, text = add_key(keys_file(data), shop, ("analytics",), requests_per_minute=0)
    catalogue = store.catalogue()
    paths = []
    for metric in catalogue.values():
        paths += [f"{metric.name}?compare=previous", f"{metric.name}?by=date"]
        paths += [f"{metric.name}?by=channel"] if "channel" in catalogue.dimensions(metric) else []
    transport = httpx.ASGITransport(app=create_api(data, ApiSettings(0)))
    spent = []
    async with httpx.AsyncClient(transport=transport, base_url="http://api", timeout=SECONDS) as client:
        for path in paths:
            begun = time.monotonic()
            url = f"/v1/shops/{shop}/analytics/{path}"
            answer = await client.get(url, headers={"authorization": f"Bearer {text}"})
            spent.append(1000 * (time.monotonic() - begun))
            assert answer.status_code == 200, (path, answer.text)
    revoke_key(keys_file(data), key.id)
    return {"requests": len(spent), "p50_ms": round(median(spent), 1), "p90_ms": round(quantiles(spent, n=10)[-1], 1)}


def main() -> None:
    """Measure, print, and write the figures to the file of --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=data_folder(), help="a data folder with a published version")
    arguments = parser.parse_args()
    found = {"api": asyncio.run(api(arguments.data)), "pages": dashboard(arguments.data)}
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
