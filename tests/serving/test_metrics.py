"""The catalogue of metrics is checked, and travels with each published version."""

import pytest

from serving.metrics import (
    InvalidCatalogue,
    MetricCatalogue,
    decode_metrics,
    encode_metrics,
    load_metrics,
)
from serving.publish import publish
from serving.published import read_current
from tests.metrics_document import DOCUMENT, document
from tests.serving.marts import make_warehouse

HEAD = "label: L\n    topic: T\n    description: D.\n    formula: F.\n    good: up\n    additive: false"
COUNT = f"""
  - name: visits
    {HEAD}
    unit: count
    grain: one session
    mart: core.sessions
    date: local_date
    expression: count(*)
"""
SALES = f"""
  - name: sales
    {HEAD}
    unit: money
    grain: one order
    mart: core.orders
    date: local_date
    expression: sum(amount)
    currency: currency
"""
RATE = f"""
  - name: rate
    {HEAD}
    unit: money
    numerator: sales
    denominator: visits
"""


def load(tmp_path, text: str) -> MetricCatalogue:
    file = tmp_path / "metrics.yml"
    file.write_text(f"metrics:\n{text}")
    return load_metrics(file)


def test_document_of_metrics_is_current():
    assert DOCUMENT.read_text() == document(load_metrics()), "run `python -m tests.metrics_document`"


def test_a_published_version_has_its_own_catalogue(tmp_path, monkeypatch):
    make_warehouse(tmp_path / "warehouse.duckdb")
    monkeypatch.setattr("serving.publish.load_metrics", lambda: load(tmp_path, COUNT))
    publish(tmp_path / "warehouse.duckdb", tmp_path)
    assert list(read_current(tmp_path).metrics()) == ["visits"]


def test_a_version_of_older_code_has_no_metrics(tmp_path):
    make_warehouse(tmp_path / "warehouse.duckdb")
    published = publish(tmp_path / "warehouse.duckdb", tmp_path)
    (published.folder / "metrics.json").unlink()
    assert len(read_current(tmp_path).metrics()) == 0


def test_the_catalogue_round_trips_through_json():
    catalogue = load_metrics()
    assert list(decode_metrics(encode_metrics(catalogue)).items()) == list(catalogue.items())


def test_a_ratio_has_the_dimensions_of_both_parts_and_the_currency_of_either(tmp_path):
    both, one = "    dimensions: {channel: channel, device: device}\n", "    dimensions: {device: device}\n"
    catalogue = load(tmp_path, COUNT + both + SALES + one + RATE)
    assert catalogue.dimensions(catalogue["rate"]) == ("device",)
    assert catalogue.has_currency(catalogue["rate"])
    assert not catalogue.has_currency(catalogue["visits"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (COUNT + COUNT, "two metrics named visits"),
        (COUNT.replace("visits", "Visits"), "The metric Visits has a name"),
        (COUNT.replace("unit: count", "unit: pounds"), "The metric visits is not valid: Invalid enum value 'pounds'"),
        (COUNT.replace("good: up", "colour: red"), "The metric visits is not valid: Object contains unknown field"),
        (COUNT.replace("    label: L\n", ""), "The metric visits is not valid: Object missing required field `label`"),
        (COUNT.replace("D.", "D"), "The metric visits has a description or formula that does not end"),
        (COUNT.replace("core.sessions", "staging.events"), "The metric visits reads staging.events"),
        (COUNT.replace("    grain: one session\n", ""), "The metric visits has no grain"),
        (
            COUNT.replace("count(*)", "count(distinct x)").replace("additive: false", "additive: true"),
            "marked as additive",
        ),
        (SALES.replace("    currency: currency\n", ""), "The metric sales is money without a currency"),
        (COUNT + SALES + RATE.replace("unit: money", "unit: share"), "The metric rate has the unit share"),
        (COUNT + RATE, "The metric rate is computed from sales, which does not exist"),
        (COUNT + SALES + RATE.replace("additive: false", "additive: true"), "is a ratio and cannot be additive"),
        (
            COUNT + SALES + RATE + RATE.replace("name: rate", "name: of_a_rate").replace("sales", "rate"),
            "which is a ratio",
        ),
        (COUNT + SALES + RATE + "    mart: core.orders\n", "The metric rate has a numerator and also mart"),
        ("  - just text", "The metric number 1 is not valid"),
        ("  - [", "is not YAML"),
    ],
)
def test_an_error_names_the_metric(tmp_path, text, message):
    with pytest.raises(InvalidCatalogue) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)
