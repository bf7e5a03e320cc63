"""The traffic of the soak: shoppers send events; analysts, programs and merchants read.

Each counts what was answered and what failed.
"""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import httpx
import msgspec
from playwright.sync_api import sync_playwright

from ingestion.shops import load_shops
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.shoppers import simulate
from serving.published import ANALYSTS_FILE, CURRENT, published_folder
from tests.browser import ARGUMENTS, CHROMIUM
from tests.conftest import PROJECT
from tests.dashboard_process import IDLE, SHOWN
from tests.screenshots import loopback_only

SENDERS = 16
DAYS_PER_SEED = 30
QUERIES = (
    "select channel, sum(sessions), sum(purchased_open) from analytics.funnel_daily group by channel",
    "select local_date, count(*), sum(gross_total_amount) from core.orders group by local_date order by local_date",
    "select product_id, count(*) as views from core.product_views group by product_id order by views desc limit 20",
    "select count(*), count(distinct journey_id) from core.sessions where not is_bot",
)
PAGES = ("", "funnel", "products", "pipeline")
METRICS = ("visitors", "gross_sales?compare=previous", "conversion_rate?by=channel", "orders?by=date")


@dataclass
class Reads:
    """The reads of one kind: how long each took, in milliseconds, and what failed."""

    milliseconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def run(self, what: str, read: Callable[[], Any], timed: bool = True) -> None:
        """Do a read; an exception is a failure."""
        begun = time.monotonic()
        try:
            read()
            if timed:
                self.milliseconds.append(1000 * (time.monotonic() - begun))
        except Exception as error:
            self.failures.append(f"{what}: {type(error).__name__}: {str(error)[:300]}")

    def figures(self) -> dict[str, Any]:
        times = sorted(self.milliseconds)
        p99 = round(times[int(0.99 * len(times))], 1) if times else None
        p50 = round(median(times), 1) if times else None
        return {"reads": len(times), "failed": len(self.failures), "p50_ms": p50, "p99_ms": p99}


@dataclass
class Load:
    """What was sent. acknowledged: ids of the events that the collector must have stored."""

    acknowledged: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    async def send(self, url: str, key: str, bodies: Iterator[bytes], rate: float, stop: threading.Event) -> None:
        """Post bodies at a rate of events per second until the end of the bodies, or until it is stopped."""
        begun, sent = time.monotonic(), 0

        async def sender(client: httpx.AsyncClient) -> None:
            nonlocal sent
            while not stop.is_set() and (body := next(bodies, None)):
                request = json.loads(body)
                at, sent = begun + sent / rate, sent + len(request["events"])
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                await self._post(client, f"{url}/v1/events/{key}", body, request)

        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            await asyncio.gather(*(sender(client) for _ in range(SENDERS)))

    async def _post(self, client: httpx.AsyncClient, url: str, body: bytes, request: dict[str, Any]) -> None:
        """Post as the pixel does: again, until the request is accepted."""
        while True:
            try:
                answer = await client.post(url, content=body)
            except httpx.TransportError:
                self.outcomes["no answer"] += 1
                continue
            self.outcomes[str(answer.status_code)] += 1
            if answer.status_code == 204:
                if request["consent"]["analyticsProcessingAllowed"]:
                    self.acknowledged += [event["id"] for event in request["events"]]
                return
            await asyncio.sleep(1)


def write_bodies(file: Path, events: int) -> None:
    """Write the request bodies of simulated shoppers, one per line, with at least this many events."""
    shop, seed, written = load_shops(PROJECT / "shops.toml")[0], 0, 0
    with file.open("wb") as output:
        while written < events:
            seed += 1
            for delivery in simulate(shop, build_catalogue(1), seed, datetime.now(UTC), DAYS_PER_SEED).deliveries:
                output.write(msgspec.json.encode(delivery.body) + b"\n")
                written += len(delivery.events)


def analyst(data: Path, stop: Any, results: Any, seed: int) -> None:
    """Query the published file, kept open for up to a minute while versions come and go. Runs in its own process."""
    rng, reads = random.Random(seed), Reads()

    def ask_for(seconds: float) -> None:
        path = (published_folder(data) / CURRENT).resolve() / ANALYSTS_FILE
        with duckdb.connect(str(path), read_only=True, config={"threads": 1}) as connection:
            until = time.monotonic() + seconds
            while time.monotonic() < until and not stop.wait(0.5):
                sql = rng.choice(QUERIES)
                reads.run(sql, connection.sql(sql).fetchall)

    while not stop.is_set():
        reads.run("open", lambda: ask_for(rng.uniform(1, 60)), timed=False)
    results.put(reads)


def read_api(url: str, key: str, shop: str, products: list[str], stop: threading.Event, reads: Reads) -> None:
    """Lists, metrics and reports, in turn. products: ids that the first version knows."""
    rng = random.Random(1)

    def get(path: str) -> None:
        answer = client.get(f"{url}/v1/shops/{shop}/{path}", headers={"authorization": f"Bearer {key}"})
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")

    with httpx.Client(timeout=30, trust_env=False) as client:
        while not stop.wait(0.05):
            choices = ("popular", "trending", "status", f"products/{rng.choice(products)}/recommendations")
            path = rng.choice([*choices, *(f"analytics/{metric}" for metric in METRICS), "analytics/reports/products"])
            reads.run(path, lambda path=path: get(path))


def read_dashboard(url: str, stop: threading.Event, reads: Reads) -> None:
    """Open pages in new tabs of a browser, in turn."""

    def show(page_name: str) -> None:
        context = browser.new_context()
        try:
            context.route("**/*", loopback_only)
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.goto(f"{url}/{page_name}")
            page.wait_for_selector(SHOWN)
            page.wait_for_function(IDLE)
            if wrong := page.query_selector("[data-testid=stException]"):
                raise RuntimeError(wrong.inner_text())
        finally:
            context.close()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        number = 0
        while not stop.wait(5):
            name = PAGES[number % len(PAGES)]
            reads.run(name or "overview", lambda name=name: show(name))
            number += 1
        browser.close()
