"""Fixtures for tests of the read API: an in-process API, a server process, and checks of responses."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from ingestion.collector.app import Collector, CollectorSettings
from ingestion.pixel.packaging import custom_pixel
from serving.api import ApiSettings, create_api
from serving.api import versions as api_versions
from serving.api.visitor_access import VisitorSecrets
from serving.demo_shop.server import create_storefront
from serving.published import Published, shop_folder
from tests.browser import running
from tests.conftest import PROJECT
from tests.landing_files import open_events
from tests.serving.published_version import FIRST_HIDDEN, FIRST_PRODUCT, SHOP, write_version

ROOT = f"/v1/shops/{SHOP}"
PRODUCTS = 40
SEED = str(FIRST_PRODUCT)
WITHOUT_DOCUMENT = str(FIRST_PRODUCT + PRODUCTS - 1)
HIDDEN = str(FIRST_HIDDEN)
SECRETS = VisitorSecrets(api_keys=(b"old-key", b"new-key"), app_secrets=(b"hush",))
KEY = {"authorization": "Bearer new-key"}
PATHS = (
    f"{ROOT}/products/{SEED}/recommendations",
    f"{ROOT}/products/{SEED}/recommendations?placement=viewed_together",
    f"{ROOT}/products/{SEED}/recommendations?placement=bought_together",
    f"{ROOT}/products/{WITHOUT_DOCUMENT}/recommendations",
    f"{ROOT}/products/{HIDDEN}/recommendations",
    f"{ROOT}/popular",
    f"{ROOT}/popular?collection=501",
    f"{ROOT}/popular?segment=new",
    f"{ROOT}/popular?channel=direct",
    f"{ROOT}/trending",
    f"{ROOT}/visitors/client-3",
    f"{ROOT}/visitors/nobody",
)
ROUTES = (
    "get /v1/shops/{shop}/products/{product_id}/recommendations",
    "get /v1/shops/{shop}/popular",
    "get /v1/shops/{shop}/trending",
    "get /v1/shops/{shop}/experiments",
    "post /v1/shops/{shop}/session",
    "get /v1/shops/{shop}/visitors/{visitor_id}",
    "get /v1/shops/{shop}/analytics/metrics",
    "get /v1/shops/{shop}/analytics/reports/{report}",
    "get /v1/shops/{shop}/analytics/{metric}",
    "get /v1/shops/{shop}/status",
    "get /healthz",
    "get /metrics",
)


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["product_id"] for item in answer.json()["items"]]


def codes(answer: httpx.Response) -> list[str]:
    return [item["reason"]["code"] for item in answer.json()["items"]]


def catalogue_of(published: Published) -> dict:
    return json.loads((published.folder / shop_folder(SHOP) / "catalogue.json").read_bytes())


def violations(answer: dict, catalogue: dict, banned: set[str], limit: int) -> list[str]:
    """The rules that a response's items violate, judged by the catalogue file alone."""
    items = answer["items"]
    shown = [item["product_id"] for item in items]
    groups = Counter(catalogue["diversity"][one] for one in shown if one in catalogue["diversity"])
    rules = {
        "is not in the catalogue": any(one not in catalogue["products"] for one in shown),
        "is the seed or excluded": any(one in banned for one in shown),
        "appears twice": len(set(shown)) < len(shown),
        "exceeds the limit of its group": any(count > catalogue["max_per_group"] for count in groups.values()),
        "is over the limit": len(items) > limit,
        "has a wrong position": [item["position"] for item in items] != list(range(1, len(items) + 1)),
        "differs from the catalogue": any(
            item.get(name) != value
            for item in items
            for name, value in catalogue["products"].get(item["product_id"], {}).items()
        ),
        "is of another version": answer["version"] != catalogue["version"],
    }
    return [rule for rule, violated in rules.items() if violated]


def wait_until(done: Callable, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while not (result := done()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)
    return result


@contextlib.contextmanager
def served(data: Path, workers: int = 1):
    """The API in a server process; yields its address and the process."""
    code = (
        "import sys; from pathlib import Path; from serving.api import serve\n"
        "if __name__ == '__main__': serve('127.0.0.1', 0, Path(sys.argv[1]), int(sys.argv[2]), 0)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, data, str(workers)],
        cwd=PROJECT,
        env={**os.environ, "PIXELNOVA_API_KEY": "new-key"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("Pixelnova API listening on http://127.0.0.1:"), process.communicate()
        yield line.split()[-1], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


class Asking:
    """Client of an in-process API; sends one request at a time."""

    def __init__(self, data: Path, requests_per_second: int = 0, secrets: VisitorSecrets = SECRETS) -> None:
        self.app = create_api(data, ApiSettings(requests_per_second, secrets))

    def __call__(self, path: str, method: str = "GET", address: str = "192.0.2.1", **request) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(method, path, **request)

        return asyncio.run(ask())

    def session(self, products: list, **more) -> httpx.Response:
        return self(f"{ROOT}/session", "POST", json={"products": products, **more})


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Published:
    return write_version(tmp_path_factory.mktemp("data"), products=PRODUCTS)


@pytest.fixture(scope="session")
def ask(published) -> Asking:
    return Asking(published.folder.parent.parent)


@pytest.fixture
def looks_at_once(monkeypatch) -> None:
    """Check `current` on every request, so that tests do not wait."""
    monkeypatch.setattr(api_versions, "POLL_SECONDS", 0.0)


@pytest.fixture(scope="module")
def demo(shop, published, tmp_path_factory):
    """The demo shop, with the real collector and the real read API."""
    data, landing = published.folder.parents[1], tmp_path_factory.mktemp("landing")
    collector = Collector(CollectorSettings([shop], landing, landing / "salts", requests_per_second=0))
    api = create_api(data, ApiSettings(requests_per_second=0))
    with running(collector) as collector_port, running(api) as api_port:
        pixel = custom_pixel(f"http://127.0.0.1:{collector_port}", shop.ingest_keys[0])
        api_url = f"http://127.0.0.1:{api_port}/v1"

        def stored(name: str) -> list[dict]:
            return list({event["id"]: event for event in open_events(landing) if event["name"] == name}.values())

        with running(create_storefront(data, shop.domain, pixel, api_url)) as port:
            yield SimpleNamespace(url=f"http://127.0.0.1:{port}", api=api_url, stored=stored)


@pytest.fixture
def shopper(chromium, demo):
    """A browser in the demo shop, with its own events."""
    context = chromium.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def events_of(name: str, count: int = 1) -> list[dict]:
        """This browser's events with a name, as the collector wrote them; asserts their count."""
        client = page.evaluate("localStorage.getItem('demo:client')")
        deadline = time.monotonic() + 15
        while True:
            events = [event for event in demo.stored(name) if event["clientId"] == client]
            if len(events) >= count or time.monotonic() > deadline:
                break
            page.wait_for_timeout(50)
        assert len(events) == count, name
        return events

    yield SimpleNamespace(page=page, events_of=events_of)
    assert errors == []
    context.close()
