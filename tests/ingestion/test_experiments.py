"""experiments.toml: what it declares, and the sentence for each mistake."""

from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pytest

from ingestion.assignment import bucket_ranges
from ingestion.data_folder import warehouse_file
from ingestion.experiments import ExperimentsFileError, load_experiments
from ingestion.shops import Shop
from ingestion.sources.experiments import experiments_source
from ingestion.warehouse import open_pipeline

SHOPS = [
    Shop("a.myshopify.com", "A", "Europe/Berlin", "EUR", ["key-00001"]),
    Shop("b.myshopify.com", "B", "America/New_York", "USD", ["key-00002"]),
]
HOLDOUT = """
[[holdouts]]
shop = "a.myshopify.com"
share = 0.05
start = 2026-10-01
"""
EXPERIMENT = """
[[experiments]]
shop = "a.myshopify.com"
key = "cold-start"
name = "Cold start"
primary_metrics = ["click_through"]
guardrails = ["average_order_value"]

[[experiments.variations]]
key = "control"
shows = "default"

[[experiments.variations]]
key = "similar"
shows = "similar"

[[experiments.phases]]
start = 2026-11-01
end = 2026-11-08T12:00:00Z
coverage = 0.1
weights = [0.5, 0.5]

[[experiments.phases]]
start = 2026-11-08T12:00:00Z
coverage = 1
weights = [0.2, 0.8]
"""
OTHER = EXPERIMENT.replace("cold-start", "other").replace("Cold start", "Other")


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "experiments.toml"
        path.write_text(text)
        return load_experiments(path, SHOPS)

    return load


def layered(text, layer, share=None):
    line = f'layer = "{layer}"\n' + (f"layer_share = {share}\n" if share else "")
    return text.replace("primary_metrics", f"{line}primary_metrics", 1)


def test_no_file_means_no_experiments(tmp_path):
    assert load_experiments(tmp_path / "experiments.toml", SHOPS) == []


def test_experiment_as_declared(load):
    holdout, experiment = load(HOLDOUT + EXPERIMENT)
    assert (holdout.key, holdout.is_holdout, experiment.is_holdout) == ("holdout", True, False)
    assert holdout.phases[0].ranges == [(0, 500), (500, 10_000)]
    assert [variation.shows for variation in holdout.variations] == ["nothing", "default"]
    assert (experiment.seed, experiment.layer, experiment.alpha) == ("cold-start", None, Decimal("0.05"))
    assert [variation.shows for variation in experiment.variations] == ["default", "similar"]
    first, second = experiment.phases
    assert first.started_at == datetime(2026, 10, 31, 23, tzinfo=UTC), "a date is midnight of the shop"
    assert first.ended_at == second.started_at == datetime(2026, 11, 8, 12, tzinfo=UTC)
    assert first.ranges == [(0, 500), (5000, 5500)]
    assert second.ranges == [(0, 2000), (2000, 10_000)]
    assert second.ended_at is None


def test_phase_without_an_end_ends_when_the_next_starts(load):
    [experiment] = load(EXPERIMENT.replace("end = 2026-11-08T12:00:00Z\n", ""))
    assert experiment.phases[0].ended_at == experiment.phases[1].started_at


def test_raising_the_coverage_moves_no_unit():
    weights = [Decimal("0.3"), Decimal("0.3"), Decimal("0.4")]
    for (first, end), (_, later_end) in zip(
        bucket_ranges(Decimal("0.1"), weights), bucket_ranges(Decimal("0.7"), weights), strict=True
    ):
        assert first < end < later_end
    assert [edge for bounds in bucket_ranges(Decimal(1), weights) for edge in bounds] == [
        *(0, 3000, 3000, 6000, 6000, 10_000)
    ]


def test_layers_are_shared_in_the_order_of_the_file(load):
    one, other = load(layered(EXPERIMENT, "page", 0.3) + layered(OTHER, "page", 0.6))
    assert [(one.layer_from, one.layer_to), (other.layer_from, other.layer_to)] == [(0, 3000), (3000, 9000)]
    one, other = load(layered(EXPERIMENT, "page") + layered(OTHER, "page"))
    assert [(one.layer_from, one.layer_to), (other.layer_from, other.layer_to)] == [(0, 5000), (5000, 10_000)]


MISTAKES = {
    "unknown strategy": (
        EXPERIMENT.replace('shows = "similar"', 'shows = "similr"'),
        "cold-start: variation similar: shows is 'similr': did you mean similar?",
    ),
    "unknown tier": (
        EXPERIMENT.replace('shows = "similar"', 'tiers = ["similar", "best"]'),
        "tiers is ['similar', 'best']: 'best' is not a strategy: use one of product_page",
    ),
    "shows and tiers": (
        EXPERIMENT.replace('shows = "similar"', 'shows = "similar"\ntiers = ["popular"]'),
        "variation similar: say what it shows: either",
    ),
    "shows nothing said": (EXPERIMENT.replace('shows = "similar"', ""), "variation similar: say what it shows"),
    "unknown placement": (
        EXPERIMENT.replace("primary", 'placements = ["home"]\nprimary', 1),
        "placements is ['home']: 'home' is not a placement",
    ),
    "unknown metric": (EXPERIMENT.replace("click_through", "clicks"), "'clicks' is not a metric"),
    "metric with two roles": (
        EXPERIMENT.replace("average_order_value", "click_through"),
        "click_through is a primary metric and a guardrail",
    ),
    "no primary metric": (EXPERIMENT.replace('["click_through"]', "[]"), "primary_metrics is []: write one or more"),
    "weights do not sum": (EXPERIMENT.replace("[0.2, 0.8]", "[0.2, 0.7]"), "they sum to 0.9: make them sum to 1."),
    "a weight is missing": (EXPERIMENT.replace("[0.2, 0.8]", "[1.0]"), "write one weight for each of the 2 variations"),
    "weight not a number": (EXPERIMENT.replace("[0.2, 0.8]", "[nan, 0.8]"), "write one number above 0 per variation"),
    "weight below one bucket": (
        EXPERIMENT.replace("[0.2, 0.8]", "[0.00001, 0.99999]"),
        "a variation would get less than one of 10,000 buckets",
    ),
    "overlapping phases": (
        EXPERIMENT.replace("end = 2026-11-08T12:00:00Z", "end = 2026-11-09"),
        "phase 2 starts before phase 1 ends, so they overlap",
    ),
    "phases out of order": (
        EXPERIMENT.replace("end = 2026-11-08T12:00:00Z", "").replace(
            "start = 2026-11-08T12:00:00Z", "start = 2026-10-01"
        ),
        "phase 2 does not start after phase 1",
    ),
    "end before start": (
        EXPERIMENT.replace("end = 2026-11-08T12:00:00Z", "end = 2026-10-08"),
        "phase 1: its end 2026-10-08 is not after its start 2026-11-01",
    ),
    "time without a zone": (EXPERIMENT.replace("12:00:00Z", "12:00:00"), "its timezone is missing"),
    "start is text": (EXPERIMENT.replace("start = 2026-11-01", 'start = "soon"'), "start is 'soon': write a date"),
    "no phases": (EXPERIMENT[: EXPERIMENT.index("[[experiments.phases]]")], "cold-start: phases is missing."),
    "one variation": (
        EXPERIMENT.replace('[[experiments.variations]]\nkey = "similar"\nshows = "similar"', ""),
        "an experiment compares at least two",
    ),
    "variation twice": (EXPERIMENT.replace('key = "similar"', 'key = "control"'), "control appears twice"),
    "unknown shop": (EXPERIMENT.replace("a.myshopify", "c.myshopify"), "it is not in shops.toml"),
    "shop is a list": (EXPERIMENT.replace('"a.myshopify.com"', "[1]"), "it is not in shops.toml"),
    "coverage out of range": (EXPERIMENT.replace("coverage = 0.1", "coverage = 1.1"), "coverage is 1.1"),
    "coverage is true": (EXPERIMENT.replace("coverage = 0.1", "coverage = true"), "coverage is True"),
    "alpha out of range": (EXPERIMENT.replace("primary", "alpha = 5\nprimary", 1), "alpha is 5"),
    "unknown field": (EXPERIMENT.replace("guardrails", "guardrail"), "did you mean guardrails?"),
    "unknown device": (
        EXPERIMENT.replace("primary", 'audience = {devices = ["phone"]}\nprimary', 1),
        "'phone' is not a device",
    ),
    "two experiments on a placement": (EXPERIMENT + OTHER, "other and cold-start run on the placement product_page at"),
    "one in a layer": (layered(EXPERIMENT, "page") + OTHER, "give both the same layer"),
    "layer too small": (
        layered(EXPERIMENT, "page", 0.6) + layered(OTHER, "page", 0.6),
        "Layer page: the layer_shares of its experiments sum to 1.2",
    ),
    "half a layer": (layered(EXPERIMENT, "page", 0.6) + layered(OTHER, "page"), "give one to each or to none"),
    "layer is the seed": (layered(EXPERIMENT, "cold-start"), "is also its seed"),
    "layer is another's seed": (layered(EXPERIMENT, "other") + layered(OTHER, "page"), "is a layer and the seed of"),
    "share without a layer": (EXPERIMENT.replace("primary", "layer_share = 1\nprimary", 1), "without a layer"),
    "key twice": (layered(EXPERIMENT, "page") * 2, "two experiments of a.myshopify.com have this key"),
    "seed twice": (
        layered(EXPERIMENT, "page") + layered(OTHER, "page").replace("primary", 'seed = "cold-start"\nprimary', 1),
        "other has the seed of cold-start",
    ),
    "holdout is reserved": (EXPERIMENT.replace("cold-start", "holdout"), "the name holdout is reserved"),
    "two holdouts": (HOLDOUT * 2, "a.myshopify.com has several holdouts"),
    "holdout below one bucket": (
        HOLDOUT.replace("0.05", "0.00004"),
        "share is 0.00004: the holdout or the rest would get less than one of 10,000 buckets",
    ),
    "holdout of all but a bucket": (HOLDOUT.replace("0.05", "0.99999"), "less than one of 10,000 buckets"),
    "layer_share below one bucket": (
        layered(EXPERIMENT, "page", 0.3) + layered(OTHER, "page", "0.00004"),
        "Layer page: an experiment would get less than one of 10,000 buckets: raise its layer_share.",
    ),
    "holdout of everyone": (HOLDOUT.replace("0.05", "1"), "Holdout of a.myshopify.com: share is 1"),
    "single brackets": (EXPERIMENT.replace("[[experiments]]", "[experiments]"), "write [[experiments]], once for each"),
    "outside": ('shop = "a"\n' + EXPERIMENT, "'shop' is outside an experiment"),
    "not TOML": (EXPERIMENT + "]", "it is not TOML"),
}


@pytest.mark.parametrize("text, sentence", MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_named(load, text, sentence):
    with pytest.raises(ExperimentsFileError) as failed:
        load(text)
    assert sentence in str(failed.value)


def test_experiments_on_one_placement_may_follow_each_other(load):
    ended = EXPERIMENT.replace("coverage = 1\n", "end = 2026-12-01\ncoverage = 1\n")
    later = OTHER.replace("2026-11-", "2026-12-").replace("start = 2026-12-01", "start = 2026-12-01")
    assert len(load(ended + later)) == 2


def test_other_shops_and_placements_do_not_conflict(load):
    elsewhere = OTHER.replace("primary", 'placements = ["popular"]\nprimary', 1)
    here = EXPERIMENT.replace("primary", 'placements = ["product_page", "session"]\nprimary', 1)
    assert len(load(here + elsewhere + OTHER.replace("a.myshopify", "b.myshopify"))) == 3


def test_raw_tables_are_replaced(load, tmp_path):
    open_pipeline("experiments", tmp_path).run(experiments_source(load(HOLDOUT + EXPERIMENT)))
    with duckdb.connect(str(warehouse_file(tmp_path))) as connection:
        connection.execute("set timezone = 'UTC'")
        assert connection.execute(
            "select experiment, phase, started_at::timestamp::varchar, holdout_to, is_holdout "
            "from raw_experiments.phases order by experiment, phase"
        ).fetchall() == [
            ("cold-start", 1, "2026-10-31 23:00:00", 500, False),
            ("cold-start", 2, "2026-11-08 12:00:00", 500, False),
            ("holdout", 1, "2026-09-30 22:00:00", None, True),
        ]
        assert connection.execute(
            "select experiment, phase, variation, variation_number, bucket_from, bucket_to, shows "
            "from raw_experiments.variations order by all"
        ).fetchall() == [
            ("cold-start", 1, "control", 0, 0, 500, "default"),
            ("cold-start", 1, "similar", 1, 5000, 5500, "similar"),
            ("cold-start", 2, "control", 0, 0, 2000, "default"),
            ("cold-start", 2, "similar", 1, 2000, 10000, "similar"),
            ("holdout", 1, "control", 0, 0, 500, "nothing"),
            ("holdout", 1, "treatment", 1, 500, 10000, "default"),
        ]
    open_pipeline("experiments", tmp_path).run(experiments_source([]))
    with duckdb.connect(str(warehouse_file(tmp_path))) as connection:
        for table in ("phases", "variations", "metrics"):
            assert connection.execute(f"select count(*) from raw_experiments.{table}").fetchone() == (0,)
