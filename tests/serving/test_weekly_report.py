"""The weekly report: every number equals that of serving.analytics and of SQL, and product titles are inert."""

import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser

import duckdb
import pytest

from serving.analytics.periods import InvalidPeriod, Period
from serving.analytics.reports import run_report
from serving.analytics.store import ShopNotVisible, Stores
from serving.analytics.values import measure
from serving.dashboard.formats import change_text, number_text
from serving.published import ANALYSTS_FILE
from serving.weekly_report import last_week, week_name, week_period, weekly_report
from tests.questions import DEMO_SHOP

WEEK, BEFORE = week_period("2026-W43"), week_period("2026-W42")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
HOSTILE = "<script>alert(1)</script><img src='https://evil.example/x'>\r\nSubject: {{ report }} & \x1b[31m\u202e"
# A second query for each figure of the overview, straight from the marts.
SQL = {
    "Visitors": "select count(distinct journey_id) from core.sessions where not is_bot and {}",
    "Sessions": "select count(*) from core.sessions where not is_bot and {}",
    "Orders": "select count(*) from core.orders where not is_test and {}",
    "Gross sales": "select sum(gross_total_amount) from core.orders where not is_test and {}",
    "Net sales": "select sum(net_total_amount) from core.orders where not is_test and {}",
    "Average order value": "select avg(gross_total_amount) from core.orders where not is_test and {}",
    "Share of new visitors": "select count(*) filter (where is_new_visitor) / count(distinct journey_id) "
    "from core.sessions where not is_bot and {}",
    "Events in quarantine": "select count(*) from operations.quarantined_events "
    "where cast(timezone('America/New_York', timezone('UTC', received_at)) as date) between '{first}' and '{last}'",
    "Events accepted": "select sum(events) from operations.event_volume where {}",
    "Recommendation lists seen": "select count(*) from recommendations.impressions where {}",
}


class Document(HTMLParser):
    """The texts of a document, its tables by heading, and every tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts, self.tables, self.tags, self._tag, self._heading = [], {}, set(), "", ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self._tag = tag if tag != "strong" else self._tag
        self.tags.add(tag)
        if tag == "tr":
            self.tables.setdefault(self._heading, []).append([])
        if tag in ("td", "th"):
            self.tables[self._heading][-1].append("")

    def handle_data(self, data):
        if self._tag == "style" or not data.strip():
            return
        self.texts.append(data)
        if self._tag == "h2":
            self._heading = data.strip()
        elif self._tag in ("td", "th"):
            self.tables[self._heading][-1][-1] += data


@pytest.fixture(scope="module")
def store(built_demo):
    return Stores(built_demo.data).newest()


@pytest.fixture(scope="module")
def report(store):
    return weekly_report(store, DEMO_SHOP, WEEK)


def rows(store, name, columns, week=WEEK):
    """A report's cells as texts."""
    found = run_report(store, DEMO_SHOP, name, week)
    units = {column.name: column.unit for column in found.report.columns}

    def text(record, column):
        value, unit = record[column], units[column]
        return str(value or "–") if unit == "text" else number_text(value, unit, "USD")

    return [[text(record, column) for column in columns] for record in found.rows.records()]


def test_every_figure_is_the_metric_and_its_change(store, report):
    labels = {metric.label: metric for metric in store.catalogue().values()}
    shown = [figure for section in report.sections for figure in section.figures]
    assert len(shown) == 19
    for figure in shown:
        metric = labels[figure.label]
        currency = "USD" if store.catalogue().has_currency(metric) else None
        now, before = (measure(store, DEMO_SHOP, metric.name, one).total(currency) for one in (WEEK, BEFORE))
        assert figure.value == number_text(now, metric.unit, currency), figure.label
        assert figure.change == (change_text(now, before, metric.unit) or ""), figure.label


def test_figures_are_those_of_sql(built_demo, store, report):
    labels = {metric.label: metric for metric in store.catalogue().values()}
    shown = {figure.label: figure.value for section in report.sections for figure in section.figures}
    for label, sql in SQL.items():
        days = f"local_date between '{WEEK.first}' and '{WEEK.last}'"
        [(value,)] = built_demo.query(sql.format(days, first=WEEK.first, last=WEEK.last))
        assert shown[label] == number_text(value, labels[label].unit, "USD"), label
        assert value, label


def test_tables_are_those_of_reports_and_sql(built_demo, store, report):
    tables = Document(report.html()).tables
    funnel = rows(store, "funnel", ("step", "sessions_open", "share_open", "sessions_closed", "share_closed"))
    assert tables["Funnel"][1:] == funnel
    sold_out = week_period("2026-W41")
    lost = ("title", "people", "missed_sales_amount", "missed_sales_lower_amount", "missed_sales_upper_amount")
    shown = Document(weekly_report(store, DEMO_SHOP, sold_out).html()).tables["Lost demand"][1:]
    assert shown == rows(store, "lost-demand", lost, sold_out)[:10]
    assert tables["Incremental sales"][1:] == rows(
        store, "incremental-sales", ("experiment", "phase", "difference", "lower", "upper", "status")
    )
    assert (
        tables["Why Shopify's numbers differ"][1:]
        == rows(store, "reconciliation-causes", ("cause", "source_name", "affected_orders", "orders", "amount"))[:10]
    )
    best = built_demo.query(
        "select sum(sales_amount) from analytics.daily_product where local_date between "
        f"'{WEEK.first}' and '{WEEK.last}' group by product_id order by 1 desc nulls last limit 10"
    )
    assert [row[-1] for row in tables["Top products"][1:]] == [number_text(sales, "money", "USD") for (sales,) in best]


def test_no_other_number_is_in_the_report(store, report):
    """Only what the tests above compare, dates, and sentences on experiments and changes; nothing else is computed."""
    known = [report.title, f"{WEEK.first} {WEEK.last}", report.note]
    for section in report.sections:
        known += [section.title, section.note, *section.sentences, *section.header]
        known += [text for figure in section.figures for text in (figure.label, figure.value, figure.change)]
        known += [cell for row in section.rows for cell in row]
    numbers = {number for text in known for number in NUMBER.findall(text)}
    for document in (" ".join(Document(report.html()).texts), report.text()):
        assert set(NUMBER.findall(document)) == numbers


def test_what_changed_and_experiments_are_in_words(built_demo, report):
    sentences = {section.title: section.sentences for section in report.sections}
    [(now, before)] = [
        [
            built_demo.query(
                "select sum(gross_total_amount) from core.orders where not is_test and local_date between "
                f"'{one.first}' and '{one.last}'"
            )[0][0]
            for one in (WEEK, BEFORE)
        ]
    ]
    assert (
        f"by {number_text(abs(now - before), 'money', 'USD')} ({float(now / before - 1):+.1%})"
        in (sentences["What changed"][0])
    )
    verdicts = built_demo.query("select sentence from experiments.verdicts where units > 0")
    assert len(sentences["Experiments"]) >= 2
    for sentence in sentences["Experiments"]:
        assert sentence.split(": ", 1)[1] in {verdict for (verdict,) in verdicts}


def test_hostile_titles_are_inert(built_demo, tmp_path):
    shutil.copytree(built_demo.data / "published", tmp_path / "published", symlinks=True)
    file = (tmp_path / "published" / "current").resolve() / ANALYSTS_FILE
    file.chmod(0o600)
    with duckdb.connect(str(file)) as connection:
        connection.execute("update core.products set title = ?", [HOSTILE])
        connection.execute("update core.shops set name = ?", [HOSTILE])
    report = weekly_report(Stores(tmp_path).newest(), DEMO_SHOP, WEEK)
    document = Document(report.html())
    assert not {"script", "img", "a", "link"} & document.tags
    assert "<script>" in "".join(document.texts)  # as text
    for text in (report.title, report.text(), "".join(document.texts)):
        assert "{{ report }}" in text and not {"\x1b", "\u202e", "\r"} & set(text)
    assert "\n" not in report.title
    assert "\nSubject" not in report.text()


def test_the_report_loads_nothing(report):
    assert not re.search(r"(src|href|url\(|@import|http)", report.html())


def test_a_week_begins_on_monday_where_the_shop_is(store):
    shop = store.shop(DEMO_SHOP)  # New York
    assert last_week(shop, datetime(2026, 11, 2, 4, tzinfo=UTC)) == week_period("2026-W43")  # still Sunday
    assert last_week(shop, datetime(2026, 11, 2, 6, tzinfo=UTC)) == week_period("2026-W44")
    assert week_name(week_period("2027-W01")) == "2027-W01"
    assert week_period("2026-W53").last.isoformat() == "2027-01-03"


@pytest.mark.parametrize("text", ["2026-W54", "2027-W53", "W47", "2026-11-22", "0000-W01", "9999-W52"])
def test_a_text_that_is_not_a_week_names_the_remedy(text):
    with pytest.raises(InvalidPeriod, match="write it as 2026-W47"):
        week_period(text)


def test_incomplete_and_empty_weeks_say_so(store):
    assert "not complete" in weekly_report(store, DEMO_SHOP, week_period("2026-W45")).note
    assert "not complete" not in weekly_report(store, DEMO_SHOP, WEEK).note
    with pytest.raises(InvalidPeriod, match="choose a later week"):
        weekly_report(store, DEMO_SHOP, week_period("2026-W30"))
    first = weekly_report(store, DEMO_SHOP, Period(*_first_week(store)))
    assert all(figure.change == "" for section in first.sections for figure in section.figures)
    assert "What changed" not in {section.title for section in first.sections}


def _first_week(store):
    first = store.shop(DEMO_SHOP).first_date
    week = week_period(f"{first:%G-W%V}")
    return week.first, week.last


def test_a_reader_sees_no_other_shop(built_demo):
    with pytest.raises(ShopNotVisible):
        weekly_report(Stores(built_demo.data).newest(frozenset(["other.myshopify.com"])), DEMO_SHOP, WEEK)
