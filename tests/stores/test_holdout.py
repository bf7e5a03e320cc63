"""A holdout of three thousand visitors: its results, weeks and long run against plain Python, and the command line."""

import re
from collections import defaultdict
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from ingestion.assignment import assigned_bucket
from tests.stores.events import NOON, checkout, event

EXPERIMENTS = """
[[holdouts]]
shop = "{shop}"
share = 0.4
start = 2026-11-08
"""
VISITORS = 3_000  # every week has more than 100 buyers in each variation
DAY = 24 * 60
AS_OF = datetime(2026, 11, 24, 12)


def variation(number: int) -> str:
    return "control" if assigned_bucket("holdout", f"unit-{number}") < 4000 else "treatment"


def first_minute(number: int) -> int:
    """Exposed in one of two weeks."""
    return -10 * DAY if number % 2 else -2 * DAY


def orders(number: int) -> list[tuple[int, int]]:
    """Minutes and amounts: more of the treatment's visitors order, and some order again a week later."""
    rate = 3 if variation(number) == "control" else 5
    bought = [(first_minute(number) + 5, 10 + number % 7)] if number % 10 < rate else []
    return bought + ([(first_minute(number) + 8 * DAY, 20)] if number % 2 and number % 11 < rate else [])


def visit(number: int) -> list[dict]:
    client, minute = f"client-{number}", first_minute(number)
    data = {"v": 1, "experiment": "holdout", "phase": 1, "variation": variation(number), "unit": f"unit-{number}"}
    events = [
        event("page_viewed", client, minute - 1),
        event("pixelnova:experiment_exposed", client, minute, type="custom", customData=data),
    ]
    for when, amount in orders(number):
        token = f"{number}-{amount}"
        events.append(event("checkout_completed", client, when, data=checkout(token, f"9{token}", amount=amount)))
    return events


EVENTS = [one for number in range(VISITORS) for one in visit(number)]


def ask(data, sql: str) -> list[tuple]:
    import duckdb

    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql.replace("{shop}", "holdout.myshopify.com")).fetchall()


def sales_by_variation(week: date | None = None) -> dict[str, list[int]]:
    """Sales of every visitor exposed by the end of a week: in that week, or in all."""
    sales = defaultdict(list)
    for number in range(VISITORS):
        entered = (NOON + timedelta(minutes=first_minute(number))).date()
        if week and entered >= week + timedelta(days=7):
            continue
        within = [
            amount
            for minute, amount in orders(number)
            if not week or 0 <= ((NOON + timedelta(minutes=minute)).date() - week).days < 7
        ]
        sales[variation(number)].append(sum(within))
    return sales


@pytest.mark.parametrize("week", [None, date(2026, 11, 9), date(2026, 11, 16)])
def test_incremental_sales_equal_plain_python(published_stores, week):
    sales = sales_by_variation(week)
    treatment, control = np.array(sales["treatment"], float), np.array(sales["control"], float)
    test = stats.ttest_ind(treatment, control, equal_var=False)
    interval = test.confidence_interval(0.95)
    [row] = ask(
        published_stores,
        "select control_units, variation_units, difference, lower, upper, p_value, currency from experiments.results "
        "where shop = '{shop}' and metric = 'incremental_sales' and not is_adjusted and not is_capped "
        f"and segment = '{week or 'all'}'",
    )
    units = len(treatment)
    assert row[:2] == (len(control), units)
    assert row[2:6] == pytest.approx(
        ((treatment.mean() - control.mean()) * units, interval.low * units, interval.high * units, test.pvalue)
    )
    assert row[6] == "EUR"


def test_the_long_run_equals_plain_python(published_stores):
    expected: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for number in range(VISITORS):
        exposed_at = (NOON + timedelta(minutes=first_minute(number))).replace(tzinfo=None)
        for week in range((AS_OF - exposed_at).days // 7):
            row = expected[variation(number), week]
            of_week = [
                amount for minute, amount in orders(number) if (minute - first_minute(number)) // (7 * DAY) == week
            ]
            row[0] += 1
            row[1] += bool(week and of_week)  # the first order is in the visit of the exposure
            row[2] += bool(of_week)
            row[3] += sum(of_week)
    assert {key for key, _ in expected} == {"control", "treatment"}
    rows = ask(
        published_stores, "select variation, week, units, returned_units, buyers, sales from experiments.long_run"
    )
    assert {row[:2]: list(row[2:]) for row in rows} == expected


def test_the_command_shows_the_sentence_and_the_metrics(published_stores, pixelnova):
    output = pixelnova("experiments", "--shop", "holdout.myshopify.com", data=published_stores).stdout
    assert "Holdout (holdout.myshopify.com, phase 1): Recommendations brought" in output
    assert f"{VISITORS:,} visitors in" in output
    assert re.search(r"revenue_per_visitor +│ primary", output)
    assert "device: desktop" not in output
    assert "device: desktop" in pixelnova("experiments", "--segments", data=published_stores).stdout


def test_power_plans_from_the_shop_or_from_given_figures(published_stores, pixelnova, tmp_path):
    shops = tmp_path / "shops.toml"
    shops.write_text(
        '[[shops]]\ndomain = "holdout.myshopify.com"\nname = "h"\ntimezone = "Europe/Berlin"\ncurrency = "EUR"\n'
        'ingest_keys = ["key-of-holdout"]\n'
    )
    own = pixelnova("--shops", str(shops), "power", data=published_stores).stdout
    assert "EUR" in own
    assert "the last 28 days of holdout.myshopify.com" in own
    # Half a million visitors for 5 % of 2 %, as in every table of sample sizes.
    given = ("power", "--metric", "conversion", "--rate", "0.02", "--visitors-per-day", "1000", "--lift", "5")
    output = pixelnova(*given, data=tmp_path).stdout
    visitors = int(re.search(r"5% │ +([\d,]+)", output)[1].replace(",", ""))
    assert visitors == pytest.approx(4 * 7.849 * 0.02 * 0.98 / 0.001**2, rel=0.001)
    wrong = pixelnova("power", "--metric", "bounce_rate", data=tmp_path, check=False)
    assert (wrong.returncode, "bounce_rate is not one of conversion" in wrong.stderr.replace("\n", " ")) == (2, True)
