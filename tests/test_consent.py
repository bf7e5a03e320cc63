"""What each choice of a person permits, from the pixel's statement to the published files and the read API."""

import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

from ingestion.landing import Consent
from serving.api.visitor_access import VisitorSecrets
from serving.publish import publish
from serving.published import read_current
from serving.recommenders.personal import recommend
from tests.conftest import PROJECT
from tests.landing_files import land, line
from tests.serving.conftest import KEY, Asking, ids
from tests.stores.events import checkout, event, viewed
from tests.warehouse import Warehouse

SHOP = "consent.myshopify.com"
SHOPS_FILE = f"""
[[shops]]
domain = "{SHOP}"
name = "Consent"
timezone = "Europe/Berlin"
currency = "EUR"
ingest_keys = ["key-of-consent"]
"""
YES, NO_SALE = Consent(True, True, True, True), Consent(True, True, True, False)
# The statements of a person's two visits, with Global Privacy Control or without, and what they permit.
PEOPLE = {
    "agrees": ([(YES, False)] * 2, {"profile", "personal_lists", "contact"}),
    "says nothing": ([(None, False)] * 2, {"profile", "personal_lists", "contact"}),
    "refuses sale": ([(NO_SALE, False)] * 2, set()),
    "has the signal": ([(None, True)] * 2, set()),
    "has the signal beside yes": ([(YES, True)] * 2, set()),
    "refuses preferences": ([(Consent(True, True, False, True), False)] * 2, {"profile", "contact"}),
    "refuses marketing": ([(Consent(True, False, True, True), False)] * 2, {"profile", "personal_lists"}),
    "withdraws": ([(YES, False), (NO_SALE, False)], set()),
    "returns": ([(NO_SALE, False), (YES, False)], {"profile", "personal_lists", "contact"}),
    "lost the signal": ([(None, True), (None, False)], set()),
}
DAY = 24 * 60  # minutes
CROWD = [f"crowd {number}" for number in range(8)]  # their visits give lists and reorder intervals


def _lines(person: str, statements: list, products: str) -> list[bytes]:
    """Two visits, each with a view of every product and an order of the first."""
    lines = []
    for number, (consent, gpc) in enumerate(statements):
        minute = (number - 1) * 7 * DAY
        seen = [event("product_viewed", person, minute + place, data=viewed(one)) for place, one in enumerate(products)]
        order = checkout(f"t {person} {number}", f"{hash_of(person)}{number}", None, products[0])
        for one in [*seen, event("checkout_completed", person, minute + 20, data=order)]:
            lines.append(line(one, shop=SHOP, consent=consent, gpc=gpc))
    return lines


def hash_of(person: str) -> int:
    return 1000 + [*PEOPLE, *CROWD].index(person)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The warehouse of these people, published."""
    folder = tmp_path_factory.mktemp("consent")
    shops = folder / "shops.toml"
    shops.write_text(SHOPS_FILE)
    warehouse = Warehouse(folder / "data", shops)
    lines = [one for person in CROWD for one in _lines(person, [(YES, False)] * 2, "1234")]
    lines += [one for person, (statements, _) in PEOPLE.items() for one in _lines(person, statements, "12")]
    land(warehouse.landing, lines)
    warehouse.load()
    warehouse.build("--vars", "{reorder_min_intervals: 1}")
    recommend(warehouse.file)
    publish(warehouse.file, warehouse.data)
    journeys = dict(
        warehouse.query("select identifier, journey_id from core.identity_map where identifier_kind = 'client'")
    )
    return SimpleNamespace(warehouse=warehouse, data=warehouse.data, journeys=journeys)


def permitted(use: str) -> set[str]:
    return {person for person, (_, uses) in PEOPLE.items() if use in uses}


def people_in(built, table: str) -> set[str]:
    found = {journey for (journey,) in built.warehouse.query(f"select distinct journey_id from {table}")}
    return {person for person in PEOPLE if built.journeys[person] in found}


@pytest.mark.parametrize(
    ("table", "use"),
    [
        ("core.user_profiles", "profile"),
        ("analytics.customer_value", "profile"),
        ("intermediate.int_customer_segments", "profile"),
        ("recommendations.personal", "personal_lists"),
        ("exports.visitors", "personal_lists"),
        ("exports.visitor_clients", "personal_lists"),
        ("exports.visitor_items", "personal_lists"),
        ("analytics.due_to_reorder", "contact"),
    ],
)
def test_exactly_those_who_permit_a_use_are_in_its_tables(built, table, use):
    assert people_in(built, table) == permitted(use)


def test_everybody_is_counted(built):
    everybody = len(PEOPLE) + len(CROWD)
    assert built.warehouse.query("select count(*) from core.user_journeys") == [(everybody,)]
    assert built.warehouse.query("select sum(orders) from analytics.daily_shop") == [(2 * everybody,)]
    in_cohorts = "select sum(people) from analytics.customer_cohorts where dimension = 'all' and months_since = 0"
    assert built.warehouse.query(in_cohorts) == [(everybody,)]
    opted_out = len(PEOPLE) - len(permitted("profile"))
    segments = "select viewers from analytics.product_segments where product_id = '1' and segment = 'not profiled'"
    assert built.warehouse.query(segments) == [(opted_out,)]


def files_that_name(data: Path, *names: str) -> list[str]:
    """The published files that name a person, except the database, which has everybody's events and journeys."""
    folder = read_current(data).folder
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".duckdb"]
    assert len(files) > 10
    return [file.name for file in files if any(name.encode() in file.read_bytes() for name in names)]


def test_published_files_name_only_those_who_permit_personal_lists(built):
    named = {person for person in PEOPLE if files_that_name(built.data, person, built.journeys[person])}
    assert named == permitted("personal_lists")


def test_the_read_api_answers_the_others_with_the_default_list(built):
    ask = Asking(built.data, secrets=VisitorSecrets(api_keys=(b"new-key",)))
    default = ask(f"/v1/shops/{SHOP}/visitors/nobody", headers=KEY)
    assert default.json()["strategy"] == "popular"
    for person in PEOPLE:
        for name in (person, built.journeys[person]):
            answer = ask(f"/v1/shops/{SHOP}/visitors/{name}", headers=KEY)
            if person in permitted("personal_lists"):
                assert answer.json()["strategy"] == "ease", person
                assert answer.json()["segment"] is not None
            else:
                assert answer.json() == default.json(), person
                assert ids(answer) == ids(default)


def test_document_and_code_agree():
    macro = (PROJECT / "dbt_project/macros/consent.sql").read_text().split("macro uses_of_a_person")[1]
    code = re.search(r"return\((\{.*?\})\)", macro, re.DOTALL)[1]
    uses = jinja2.Environment(autoescape=False).compile_expression(code)()
    names = {
        "analytics": "is_analytics_allowed",
        "marketing": "is_marketing_allowed",
        "preferences": "is_preferences_allowed",
        "sale of data": "is_sale_of_data_allowed",
    }
    document = (PROJECT / "docs/privacy.md").read_text().split("| use | needs |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", document, re.MULTILINE)
    assert {use: {names[choice] for choice in needs.split(", ")} for use, needs in rows} == {
        use: set(choices) for use, choices in uses.items()
    }
