import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jsonschema
import msgspec
import pytest
from crawleruseragents import is_crawler

from ingestion.collector.app import MAX_BODY_BYTES
from ingestion.experiments import assigned_variation, load_experiments
from ingestion.shops import load_shops
from ingestion.simulator import recommendations
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.experiments import EXPOSED
from ingestion.simulator.shoppers import EVENTS_PER_DELIVERY, NEVER_SOLD, simulate
from tests.conftest import PROJECT

END = datetime(2026, 11, 22, 16, tzinfo=UTC)
BROKEN = "yesterday"


@pytest.fixture(scope="module")
def catalogue():
    return build_catalogue(1)


@pytest.fixture(scope="module")
def deliveries(shop, catalogue):
    return simulate(shop, catalogue, 1, END).deliveries


@pytest.fixture(scope="module")
def events(deliveries):
    return [event for delivery in deliveries for event in delivery.events]


@pytest.fixture(scope="module")
def visitors(events):
    """Each browser's events in their order, without repeats."""
    browsers = defaultdict(dict)
    for event in events:
        browsers[event["clientId"]][event["seq"]] = event
    return [[found[seq] for seq in sorted(found)] for found in browsers.values()]


def happened_at(event) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def test_the_same_seed_and_end_give_the_same_events(shop):
    first, same, other = (simulate(shop, build_catalogue(seed), seed, END, days=5).deliveries for seed in (1, 1, 2))
    assert first == same != other


def test_overlapping_windows_have_the_same_events(shop, catalogue, deliveries):
    later = simulate(shop, catalogue, 1, END + timedelta(days=1)).deliveries
    shared_window = (END - timedelta(days=29), END - timedelta(days=4))

    def within(found):
        return {
            event["id"]
            for delivery in found
            for event in delivery.events
            if event["timestamp"] != BROKEN and shared_window[0] <= happened_at(event) < shared_window[1]
        }

    assert within(deliveries) == within(later) != set()


def test_a_month_is_about_3000_sessions_and_25000_standard_events(events):
    assert 22_000 < sum(event["type"] == "standard" for event in events) < 30_000
    times = defaultdict(list)
    for event in {event["id"]: event for event in events if event["timestamp"] != BROKEN}.values():
        times[event["clientId"]].append(happened_at(event))
    gap = timedelta(minutes=30)
    sessions = sum(
        1 + sum(later - earlier > gap for earlier, later in zip(sorted(found), sorted(found)[1:], strict=False))
        for found in times.values()
    )
    assert 2_500 < sessions < 3_500


def test_events_match_shopifys_published_types(events, shared_data):
    validator = jsonschema.Draft7Validator(json.loads((shared_data / "pixel_schema_lenient.json").read_text()))
    assert list(validator.iter_errors({}))
    seen = Counter()
    for event in events:
        seen[event["name"]] += 1
        if seen[event["name"]] <= 40:
            validator.validate(event)
    assert len(seen) == 15


def test_deliveries_fit_one_request(deliveries):
    assert max(len(delivery.events) for delivery in deliveries) == EVENTS_PER_DELIVERY
    assert max(len(msgspec.json.encode(delivery.body)) for delivery in deliveries) < MAX_BODY_BYTES


def test_edge_cases_of_real_stores_occur(deliveries, events):
    assert any(not delivery.consent["analyticsProcessingAllowed"] for delivery in deliveries)
    assert len({event["id"] for event in events}) < len(events), "no repeated delivery"
    assert any(event["timestamp"] == BROKEN for event in events)
    agents = {event["context"]["navigator"]["userAgent"] for event in events}
    assert {is_crawler(agent) for agent in agents} == {True, False}
    newest = max(happened_at(event) for event in events if event["timestamp"] != BROKEN)
    assert any(delivery.sent_at > newest for delivery in deliveries), "no late delivery"
    orders = [event["data"]["checkout"]["order"]["id"] for event in events if event["name"] == "checkout_completed"]
    assert len(set(orders)) < len(orders), "no reloaded thank-you page"


def test_some_searches_find_nothing(events):
    results = [event["data"]["searchResult"] for event in events if event["name"] == "search_submitted"]
    in_vain = [found["query"] for found in results if not found["productVariants"]]
    assert {query.strip().title() for query in in_vain} >= set(NEVER_SOLD)
    assert len(in_vain) < len(results) / 2


def test_nothing_sold_out_is_put_into_a_cart(shop, catalogue, deliveries):
    begin, end = END - timedelta(days=20), END - timedelta(days=10)
    sell_outs = {product.id: (begin, end) for product in catalogue.products[:40]}
    without = simulate(shop, replace(catalogue, sell_outs=sell_outs), 1, END).deliveries

    def added(found) -> list[bool]:
        """For each cart addition of a product that sells out: whether it was sold out then."""
        return [
            begin <= happened_at(event) < end
            for delivery in found
            for event in delivery.events
            if event["name"] == "product_added_to_cart" and event["timestamp"] != BROKEN
            if int(event["data"]["cartLine"]["merchandise"]["product"]["id"]) in sell_outs
        ]

    assert set(added(deliveries)) == {True, False}
    assert set(added(without)) == {False}


def test_customers_return_on_another_device(events):
    clients = defaultdict(set)
    for event in events:
        if event["name"] == "checkout_completed" and (customer := event["data"]["checkout"]["order"]["customer"]):
            clients[customer["id"]].add(event["clientId"])
    assert any(len(found) > 1 for found in clients.values())


def test_the_catalogue_has_ineligible_products(catalogue):
    assert len(catalogue.products) == 304
    assert any(not product.is_published for product in catalogue.products)
    assert any(not product.in_stock for product in catalogue.products)
    assert len({product.handle for product in catalogue.products}) == len(catalogue.products)
    for companion in catalogue.companions.values():
        assert companion.is_published
        assert companion.in_stock


def completed_checkouts(events) -> list[dict]:
    return [event["data"]["checkout"] for event in events if event["name"] == "checkout_completed"]


def cents(money) -> int:
    return round(money["amount"] * 100)


def test_a_checkout_adds_up_to_the_cent(events):
    for checkout in completed_checkouts(events):
        off_the_order = sum(
            cents(allocation["amount"])
            for item in checkout["lineItems"]
            for allocation in item["discountAllocations"]
            if allocation["discountApplication"]["targetSelection"] == "ALL"
        )
        lines = sum(cents(item["finalLinePrice"]) for item in checkout["lineItems"])
        assert lines - off_the_order == cents(checkout["subtotalPrice"])
        parts = (
            cents(checkout["subtotalPrice"]) + cents(checkout["shippingLine"]["price"]) + cents(checkout["totalTax"])
        )
        assert parts == cents(checkout["totalPrice"])


def test_final_line_price_includes_only_line_discounts(events):
    for checkout in completed_checkouts(events):
        off_shipping = sum(
            cents(option["cost"]) - cents(option["costAfterDiscounts"])
            for option in checkout["delivery"]["selectedDeliveryOptions"]
        )
        off_lines = 0
        for item in checkout["lineItems"]:
            left = cents(item["variant"]["price"]) * item["quantity"]
            for allocation in item["discountAllocations"]:
                assert allocation["discountApplication"] in checkout["discountApplications"]
                off_lines += cents(allocation["amount"])
                if allocation["discountApplication"]["targetSelection"] != "ALL":
                    left -= cents(allocation["amount"])
            assert cents(item["finalLinePrice"]) == left
        assert cents(checkout["discountsAmount"]) == off_lines + off_shipping


def test_discounts_occur_alone_and_combined(events):
    found = [checkout["discountApplications"] for checkout in completed_checkouts(events)]
    kinds = {tuple(sorted((one["type"], one["targetSelection"], one["targetType"]) for one in each)) for each in found}
    order = ("DISCOUNT_CODE", "ALL", "LINE_ITEM")
    shipping = ("DISCOUNT_CODE", "ALL", "SHIPPING_LINE")
    automatic, script = ("AUTOMATIC", "ENTITLED", "LINE_ITEM"), ("SCRIPT", "EXPLICIT", "LINE_ITEM")
    assert kinds >= {(order,), (shipping,), (automatic,), (script,), (order, shipping), (automatic, order)}
    values = {
        tuple(one["value"]) for checkout in completed_checkouts(events) for one in checkout["discountApplications"]
    }
    assert values == {("percentage",), ("amount", "currencyCode")}


def published(events, name) -> list[dict]:
    return [event for event in events if event["name"] == f"pixelnova:recommendation_{name}"]


def clicks_of(visitor) -> list[dict]:
    return published(visitor, "clicked")


def well_inside(event) -> bool:
    """Whether its visit cannot be cut by the window."""
    return event["timestamp"] != BROKEN and abs(happened_at(event) - (END - timedelta(days=15))) < timedelta(days=14)


def property_of(line) -> str | None:
    return next((one["value"] for one in line["properties"] if one["key"] == "_pixelnova_rec"), None)


def test_list_events_match_the_contract_exactly(events):
    text, product = {"type": "string", "minLength": 1}, {"type": "string", "pattern": "^[0-9]+$"}
    strategy = {"enum": ["bought_together", "popular"]}
    common = {
        "v": {"const": 1},
        "request_id": {"type": "string", "pattern": r"^[^.\s]+$"},
        "placement": {"const": "product_page"},
        "seed_product_id": product,
        "model_version": {"const": "simulated"},
        "version": {"const": "simulated"},
    }
    viewed = {
        "strategies": {"type": "array", "items": strategy, "minItems": 1, "maxItems": 4},
        "product_ids": {"type": "array", "items": product, "minItems": 1, "maxItems": 4, "uniqueItems": True},
    }
    clicked = {"strategy": strategy, "position": {"type": "integer", "minimum": 1, "maximum": 4}, "product_id": product}

    def exactly(properties):
        return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}

    for name, own in (("viewed", viewed), ("clicked", clicked)):
        envelope = {
            **dict.fromkeys(("id", "clientId", "timestamp"), text),
            "name": {"const": f"pixelnova:recommendation_{name}"},
            "seq": {"type": "integer"},
            "type": {"const": "custom"},
            "context": {"type": "object", "required": ["document", "navigator", "window"]},
            "customData": exactly({**common, **own}),
        }
        validator = jsonschema.Draft7Validator(exactly(envelope))
        found = published(events, name)
        assert len(found) > 100
        for event in found:
            validator.validate(event)


def test_lists_are_companion_then_popular_products(events, catalogue):
    products = {str(product.id): product for product in catalogue.products}
    for event in published(events, "viewed"):
        data = event["customData"]
        seed = products[data["seed_product_id"]]
        assert event["context"]["document"]["location"]["pathname"] == f"/products/{seed.handle}"
        assert len(data["strategies"]) == len(data["product_ids"]) == 4
        companion = catalogue.companions.get(seed.id)
        first = 1 if companion else 0
        assert data["strategies"] == ["bought_together"] * first + ["popular"] * (4 - first)
        assert data["product_ids"][:first] == ([str(companion.id)] if companion else [])
        assert data["seed_product_id"] not in data["product_ids"]
        for product in (products[one] for one in data["product_ids"]):
            assert product.is_published and product.in_stock and product.collection == seed.collection


def test_lists_are_viewed_once_after_a_second(visitors):
    requests = Counter()
    for visitor in visitors:
        page = None
        for event in visitor:
            if event["name"] == "page_viewed":
                page = event
            elif event["name"] == "pixelnova:recommendation_viewed":
                requests[event["customData"]["request_id"]] += 1
                if page and page["timestamp"] != BROKEN and well_inside(event):
                    assert event["context"] == page["context"]
                    assert happened_at(event) - happened_at(page) > timedelta(seconds=1)
    assert set(requests.values()) == {1}


def test_clicks_follow_a_viewed_list_and_open_the_product(visitors):
    clicks = 0
    for visitor in visitors:
        for number, event in enumerate(visitor):
            if event not in clicks_of(visitor) or not well_inside(event):
                continue
            clicks += 1
            click = event["customData"]
            [shown] = [
                viewed["customData"]
                for viewed in published(visitor[:number], "viewed")
                if viewed["customData"]["request_id"] == click["request_id"]
            ]
            assert shown["seed_product_id"] == click["seed_product_id"]
            assert shown["product_ids"][click["position"] - 1] == click["product_id"]
            assert shown["strategies"][click["position"] - 1] == click["strategy"]
            opened, viewed = visitor[number + 1 : number + 3]
            assert (opened["name"], viewed["name"]) == ("page_viewed", "product_viewed")
            assert viewed["data"]["productVariant"]["product"]["id"] == click["product_id"]
            assert opened["timestamp"] == BROKEN or happened_at(event) < happened_at(opened)
    assert clicks > 100


def test_both_strategies_get_clicks_but_not_every_list(events):
    clicked = Counter(event["customData"]["strategy"] for event in published(events, "clicked"))
    assert clicked["bought_together"] > clicked["popular"] > 0
    assert sum(clicked.values()) < len(published(events, "viewed")) / 2


def test_checkout_lines_carry_their_click(visitors):
    carried, bare, expected_lines = 0, 0, 0
    for visitor in visitors:
        clicks, added_at, expected, just_opened = {}, {}, {}, None
        for number, event in enumerate(visitor):
            if event["name"] == "pixelnova:recommendation_clicked":
                data = event["customData"]
                value = f"{data['request_id']}.{data['placement']}.{data['strategy']}.{data['position']}"
                clicks[value] = (number, data["product_id"])
                just_opened = (data["product_id"], value)
            elif event["name"] == "page_viewed" and visitor[number - 1]["name"] != "pixelnova:recommendation_clicked":
                just_opened = None
            elif event["name"] == "product_added_to_cart":
                variant = event["data"]["cartLine"]["merchandise"]
                added_at[variant["id"]] = number
                expected.pop(variant["id"], None)
                if just_opened and just_opened[0] == variant["product"]["id"]:
                    expected[variant["id"]] = just_opened[1]
            elif "checkout" in event.get("data", {}) and well_inside(event):
                for line in event["data"]["checkout"]["lineItems"]:
                    value, variant = property_of(line), line["variant"]
                    if variant["id"] in expected:
                        expected_lines += 1
                        assert value == expected[variant["id"]]
                    if value is None:
                        bare += 1
                        assert line["properties"] == []
                    else:
                        carried += 1
                        clicked_at, product_id = clicks[value]
                        assert product_id == variant["product"]["id"]
                        assert clicked_at < added_at[variant["id"]] < number
    assert bare > carried >= expected_lines > 50


def test_bots_refusals_and_a_control_group_see_no_lists(deliveries):
    kinds = defaultdict(Counter)
    for delivery in deliveries:
        for event in delivery.events:
            is_bot = is_crawler(event["context"]["navigator"]["userAgent"])
            kind = "bot" if is_bot else "shopper" if delivery.consent["analyticsProcessingAllowed"] else "refuses"
            kinds[kind, event["clientId"]][event["name"]] += 1
    for (kind, _), names in kinds.items():
        assert kind == "shopper" or not any(name.startswith("pixelnova:") for name in names)
    sees = Counter(
        names["pixelnova:recommendation_viewed"] > 0
        for (kind, _), names in kinds.items()
        if kind == "shopper" and names["product_viewed"] > 7
    )
    assert sees[True] > sees[False] > 0


def test_shoppers_behave_the_same_without_lists(shop, catalogue, deliveries, monkeypatch):
    monkeypatch.setattr(recommendations, "VISITORS_WITH_LISTS", 0)
    without = simulate(shop, catalogue, 1, END).deliveries

    def standard(found):
        return sorted(
            (delivery.sent_at, event["id"], event["clientId"], event["name"], event["timestamp"], _bare(event["data"]))
            for delivery in found
            for event in delivery.events
            if event["type"] == "standard"
        )

    assert {event["type"] for delivery in without for event in delivery.events} == {"standard"}
    assert standard(without) == standard(deliveries)


def _bare(data) -> str:
    """The data of a standard event, without line properties."""
    if "checkout" in data:
        items = [{**item, "properties": []} for item in data["checkout"]["lineItems"]]
        data = {"checkout": {**data["checkout"], "lineItems": items}}
    return json.dumps(data)


EXPERIMENTS = load_experiments(PROJECT / "experiments.toml", load_shops(PROJECT / "shops.toml"))


@pytest.fixture(scope="module")
def experiment(shop, catalogue):
    return simulate(shop, catalogue, 1, END, experiments=EXPERIMENTS)


def test_experiments_only_add_events(deliveries, experiment):
    standard = {event["id"] for found in deliveries for event in found.events if event["type"] == "standard"}
    with_experiments = {event["id"] for found in experiment.deliveries for event in found.events}
    assert standard <= with_experiments


def test_units_are_exposed_to_their_variation(shop, experiment):
    exposed = exposures(experiment)
    assert {data["experiment"] for _, data in exposed} == {"holdout", "companions", "same-lists"}
    by_key = {one.key: one for one in EXPERIMENTS}
    for _, data in exposed:
        one = by_key[data["experiment"]]
        held_out = by_key["holdout"] if data["experiment"] != "holdout" else None
        phase = one.phases[data["phase"] - 1]
        assert assigned_variation(one, phase, data["unit"], held_out).key == data["variation"]
    assert {data["phase"] for _, data in exposed if data["experiment"] == "companions"} == {2}
    assert any(is_crawler(event["context"]["navigator"]["userAgent"]) for event, _ in exposed)


def test_held_out_units_see_no_list(experiment):
    held_out = {
        data["unit"]
        for _, data in exposures(experiment)
        if (data["experiment"], data["variation"]) == ("holdout", "control")
    }
    clients = {event["clientId"] for event, data in exposures(experiment) if data["unit"] in held_out}
    seen = {
        event["clientId"]
        for delivery in experiment.deliveries
        for event in delivery.events
        if event["name"] == recommendations.VIEWED
    }
    assert held_out
    assert not clients & seen


def test_planted_orders_are_in_the_data(experiment):
    placed = {str(order.id): order.subtotal_cents for order in experiment.orders}
    caused = experiment.planted["orders_caused"]
    assert caused
    assert all(placed[one["order_id"]] == one["subtotal_cents"] for one in caused)
    orders = {
        (one["experiment"], one["variation"]): one["orders_caused"] / one["units"]
        for one in experiment.planted["variations"]
    }
    assert orders["companions", "treatment"] > 3 * orders["companions", "control"]
    assert orders["holdout", "control"] == 0


def test_lost_exposures_break_the_split(shop, catalogue):
    days = 3
    broken = simulate(shop, catalogue, 1, END, days, EXPERIMENTS, lost_exposures=0.9)
    units = defaultdict(set)
    for _, data in exposures(broken):
        units[data["experiment"], data["variation"]].add(data["unit"])
    assert len(units["companions", "treatment"]) < 0.6 * len(units["companions", "control"])


def exposures(simulation) -> list[tuple[dict, dict]]:
    """Each exposure once, with its event."""
    found = {event["id"]: event for delivery in simulation.deliveries for event in delivery.events}
    return [(event, event["customData"]) for event in found.values() if event["name"] == EXPOSED]
