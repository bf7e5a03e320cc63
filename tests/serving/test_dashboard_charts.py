"""Charts and formats for unusual data: single points, annotations between weeks, currencies without decimals."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import pytest

from serving.analytics.annotations import Annotation
from serving.analytics.csv_text import csv_text
from serving.dashboard.charts import line_chart, value_format
from serving.dashboard.formats import change_text, money_format, plain_text

MONDAYS = [date(2026, 11, 2) + timedelta(weeks=number) for number in range(4)]


@pytest.mark.parametrize(
    ("values", "symbol"),
    [([1], "circle"), ([1, 2], "none"), ([1, None, 2, 3], "circle"), ([None, 1, 2, None], "none"), ([None], "none")],
)
def test_a_value_without_neighbours_is_drawn_as_a_point(values, symbol):
    chart = line_chart("Rate", list(zip(MONDAYS, values, strict=False)), [], "share")
    assert chart["series"][0]["symbol"] == symbol


def test_annotations_are_drawn_at_the_weeks_that_contain_them():
    notes = [
        Annotation(None, date(2026, 11, 11), date(2026, 11, 11), "a day in the second week"),
        Annotation(None, date(2026, 10, 1), date(2026, 11, 17), "from before the chart to the third week"),
        Annotation(None, date(2026, 11, 24), date(2026, 12, 24), "in the last week and after it"),
    ]
    [series] = line_chart("Sales", [(day, 1) for day in MONDAYS], [], "money", "EUR", notes)["series"]
    assert [line["xAxis"] for line in series["markLine"]["data"]] == ["2026-11-09", "2026-11-23"]
    assert [[end["xAxis"] for end in area] for area in series["markArea"]["data"]] == [["2026-11-02", "2026-11-16"]]


def test_amounts_have_the_decimals_of_their_currency():
    assert [value_format("money", currency) for currency in ("EUR", "JPY", "KWD")] == ["%,.2f", "%,.0f", "%,.3f"]
    assert [money_format(currency) for currency in ("USD", "JPY", None, "unknown", "%s")] == [
        "$%,.2f",
        "¥%,.0f",
        "%,.2f",
        "%,.2f",
        "%%s%,.2f",
    ]


@pytest.mark.parametrize(
    ("value", "earlier", "change"),
    [(150, 100, "+50.0%"), (100, -50, "+300.0%"), (-25, -50, "+50.0%"), (-100, -50, "-100.0%"), (-50, 100, "-150.0%")],
)
def test_a_change_has_the_sign_of_the_difference(value, earlier, change):
    assert change_text(value, earlier, "money") == change


def test_text_from_events_is_escaped():
    assert plain_text("![a](https://b)\n# :red[c] $d$") == r"\!\[a\]\(https\://b\) \# \:red\[c\] \$d\$"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_a_text_in_csv_is_never_a_formula(first):
    rows = list(csv.reader(io.StringIO(csv_text(["search"], [[f"{first}1+1"], [f"a{first}"]]), newline="")))
    assert rows == [["search"], [f"'{first}1+1"], [f"a{first}"]]


def test_numbers_dates_and_unknown_values_in_csv_are_unchanged():
    cells = [-1, -0.5, Decimal("-2.50"), date(2026, 11, 2), None, [-1, 2]]
    assert csv_text([], [cells]).splitlines()[1] == '-1,-0.5,-2.50,2026-11-02,,"[-1, 2]"'
