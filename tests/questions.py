"""Two dozen example questions for analysts and their answers: docs/questions.md.

Lands the demo's shoppers at fixed times, so that the answers are stable, and runs each question's SQL.
`python -m tests.questions` rewrites the answers.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestion.data_folder import workspace
from ingestion.experiments import load_experiments
from ingestion.landing import Consent
from ingestion.shops import load_shops
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.shoppers import Simulation, simulate
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shopify_api import URL_VARIABLE, admin_apis
from ingestion.sources.shopify_token import token_variable
from ingestion.warehouse import open_pipeline
from serving.experiments.results import write_results
from serving.publish import publish
from serving.recommenders.personal import recommend
from tests.landing_files import land, line
from tests.warehouse import DBT_PROJECT, Warehouse

PROJECT = DBT_PROJECT.parent
DOCUMENT = PROJECT / "docs" / "questions.md"
DEMO_SHOP = "pixelnova-demo.myshopify.com"
SEED, END = 1, datetime(2026, 11, 1, tzinfo=UTC)
_QUESTION = re.compile(
    r"^## (?P<title>.+?)\n(?P<text>.*?)```sql\n(?P<sql>.*?)```\n\n(?P<answer>\|.*?\n)(?=\n|\Z)", re.M | re.S
)


@dataclass(frozen=True)
class Question:
    """A heading, its SQL, and the Markdown table below it."""

    title: str
    sql: str
    answer: str


def demo_simulation() -> Simulation:
    """The demo's shoppers, with the experiments of experiments.toml."""
    shops = load_shops(PROJECT / "shops.toml")
    experiments = load_experiments(PROJECT / "experiments.toml", shops)
    return simulate(shops[0], build_catalogue(SEED), SEED, END, experiments=experiments)


def demo_lines() -> Iterator[bytes]:
    """The landing lines of the demo."""
    return lines_of(demo_simulation())


def lines_of(simulation: Simulation) -> Iterator[bytes]:
    """The landing lines of shoppers who did not refuse consent, as the collector would have written them."""
    for number, delivery in enumerate(simulation.deliveries):
        if delivery.consent["analyticsProcessingAllowed"]:
            consent = msgspec.convert(delivery.consent, Consent)
            for index, event in enumerate(delivery.events):
                yield line(
                    event,
                    shop=DEMO_SHOP,
                    received_at=delivery.sent_at,
                    request_id=f"r{number}",
                    index=index,
                    consent=consent,
                    gpc=delivery.gpc,
                )


def demo_warehouse(data: Path) -> Warehouse:
    """The demo's events, with the products and orders of its Admin API, loaded, built and published."""
    simulation = demo_simulation()
    warehouse = Warehouse(data, PROJECT / "shops.toml")
    land(warehouse.landing, lines_of(simulation))
    warehouse.load()
    _fetch(warehouse, AdminStore(DEMO_SHOP, build_catalogue(SEED), simulation.orders))
    warehouse.build()
    recommend(warehouse.file)
    write_results(warehouse.file)
    publish(warehouse.file, data)
    return warehouse


def _fetch(warehouse: Warehouse, store: AdminStore) -> None:
    wanted = Settings(orders_of=frozenset([DEMO_SHOP]), workspace=workspace(warehouse.data))
    with (
        running_admin_api(AdminApi(store, "token", Bucket(maximum=20_000, restore_rate=1000))) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(URL_VARIABLE, url)
        patch.setenv(token_variable(DEMO_SHOP), "token")
        apis = admin_apis(load_shops(PROJECT / "shops.toml"))
        open_pipeline("shopify", warehouse.data).run(shopify_source(apis, wanted))


def questions() -> list[Question]:
    """The questions and answers of the document."""
    return [
        Question(found["title"], found["sql"], found["answer"]) for found in _QUESTION.finditer(DOCUMENT.read_text())
    ]


def answered(warehouse: Warehouse, sql: str) -> str:
    """The result of a query, as a Markdown table."""
    names, rows = warehouse.table(sql)
    cells = [names, ["---"] * len(names), *([_text(value) for value in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def main() -> None:
    """Rewrite the answers."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = demo_warehouse(Path(folder))
        text = DOCUMENT.read_text()
        for question in questions():
            before = f"{question.sql}```\n\n{question.answer}"
            assert text.count(before) == 1, question.title
            text = text.replace(before, f"{question.sql}```\n\n{answered(warehouse, question.sql)}")
        DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
