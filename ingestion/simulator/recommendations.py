"""Recommendation lists on the simulated store's product pages: views, clicks, and their line item properties.

Reads a visit's standard events; returns them with the storefront's custom events inserted, and with a line item
property on products that were clicked before they were bought. A click only explains a page that was opened anyway, so
that the shoppers' own random draws do not depend on recommendations. With experiments, lists also cause clicks and
purchases, at the end of a visit and with separate random draws.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

from ingestion.simulator.catalogue import Catalogue, Product
from ingestion.simulator.experiments import EFFECTS, EXPOSED, Experiments, shown_by
from ingestion.simulator.orders import PlacedOrder
from ingestion.simulator.pixel_events import Event, custom_event

VIEWED = "pixelnova:recommendation_viewed"
CLICKED = "pixelnova:recommendation_clicked"
PLACEMENT = "product_page"
LINE_PROPERTY = "_pixelnova_rec"
ITEMS_PER_LIST = 4
VISITORS_WITH_LISTS = 0.9
LISTS_IN_SIGHT = 0.6  # of product pages: other visitors do not scroll to the list
FOUND_IN_LIST = 0.2  # of listed products opened next, other than the companion
RENDERED_AFTER = timedelta(milliseconds=600)


@dataclass(frozen=True)
class Item:
    """A product in a list, with its strategy."""

    product_id: str
    strategy: str


Lists = dict[str, list[Item]]  # product id ▶ the list on its page


def lists_of(catalogue: Catalogue) -> Lists:
    """The list on each product page: its companion, then the most popular buyable products of the collection."""
    popular = {
        product.collection: [one for one in catalogue.published(product.collection) if one.in_stock]
        for product in catalogue.products
    }
    return {
        str(product.id): _list_of(product, catalogue.companions.get(product.id), popular[product.collection])
        for product in catalogue.products
    }


def _list_of(product: Product, companion: Product | None, popular: Sequence[Product]) -> list[Item]:
    items = [Item(str(companion.id), "bought_together")] if companion else []
    listed = {str(product.id), *(item.product_id for item in items)}
    items += [Item(str(one.id), "popular") for one in popular if str(one.id) not in listed]
    return items[:ITEMS_PER_LIST]


class ListViewer:
    """One visitor who sees lists, with its own random generator."""

    def __init__(
        self, lists: Lists, rng: Random, may_see: bool, is_bot: bool = False, experiments: Experiments | None = None
    ) -> None:
        """may_see: the visitor consents to it. is_bot: lists render, which exposes the bot, but it looks at none."""
        self._lists, self._rng, self._is_bot, self._experiments = lists, rng, is_bot, experiments
        self._sees = rng.random() < VISITORS_WITH_LISTS and may_see
        self._published: Counter[str] = Counter()  # custom events per browser so far
        self.placed: list[PlacedOrder] = []  # orders that lists caused

    def publish(self, visit: Sequence[Event]) -> list[list[Event]]:
        """For each standard event, the custom events before it and itself; at the end, the remaining ones."""
        if not self._sees and not (self._is_bot and self._experiments):
            return [*([event] for event in visit), []]
        published: list[list[Event]] = []
        ahead: list[Event] = []  # custom events of the open page, in order
        clicks: dict[str, str] = {}  # product id ▶ the line item property of its latest click
        lines: dict[str, str] = {}  # variant id ▶ the property of its cart line
        for number, event in enumerate(visit):
            due = [custom for custom in ahead if custom["timestamp"] <= event["timestamp"]]
            ahead = ahead[len(due) :]
            clicks |= {data["product_id"]: _property_of(data) for data in _clicked(due)}
            if event["name"] == "product_viewed":
                ahead += self._render_list(visit[number:])
            elif event["name"] == "product_added_to_cart":
                variant = event["data"]["cartLine"]["merchandise"]
                if variant["product"]["id"] in clicks:
                    lines[variant["id"]] = clicks[variant["product"]["id"]]
            published.append([*due, _with_properties(event, lines)])
        published.append(ahead + self._caused(visit, published, ahead))
        client = visit[0]["clientId"]
        numbers = count(visit[0]["seq"] + self._published[client])
        self._published[client] += sum(len(group) for group in published) - len(visit)
        return [[{**event, "seq": next(numbers)} for event in group] for group in published]

    def _render_list(self, visit: Sequence[Event]) -> list[Event]:
        """The custom events of the list on the product page that the visit starts with, its exposures first."""
        view, experiments = visit[0], self._experiments
        if not experiments:
            return self._look_at_list(visit)
        rng = Random(f"exposures/{view['id']}")
        assigned = experiments.assigned(view["clientId"], _happened_at(view))
        looked = self._look_at_list(visit) if self._sees and shown_by(assigned) != "nothing" else []
        other_id = str(UUID(int=rng.getrandbits(128), version=4))
        request_id = looked[0]["customData"]["request_id"] if looked else other_id
        exposed = experiments.exposures(view, assigned, PLACEMENT, request_id, rng)
        rendered_at = _happened_at(view) + RENDERED_AFTER
        return [custom_event(view, EXPOSED, rendered_at, data, rng) for data in exposed] + looked

    def _caused(self, visit: Sequence[Event], published: Sequence[Sequence[Event]], ahead: list[Event]) -> list[Event]:
        """What the visitor would not have done without the last list of the visit."""
        seen = [event for group in (*published, ahead) for event in group if event["name"] == VIEWED]
        if not self._experiments or not seen:
            return []
        view, rng = seen[-1], Random(f"caused/{seen[-1]['id']}")
        assigned = self._experiments.assigned(view["clientId"], _happened_at(view))
        effect, draw = EFFECTS.get(shown_by(assigned), EFFECTS["default"]), rng.random()
        if draw >= effect.clicks + effect.purchases:
            return []
        common = {
            name: value for name, value in view["customData"].items() if name not in ("strategies", "product_ids")
        }
        items = self._lists[common["seed_product_id"]]
        position = rng.choices(range(1, len(items) + 1), [1 / place for place in range(1, len(items) + 1)])[0]
        item = items[position - 1]
        data = {**common, "strategy": item.strategy, "position": position, "product_id": item.product_id}
        at = max(_happened_at(event) for event in (visit[-1], *ahead)) + timedelta(seconds=rng.randint(5, 40))
        click = custom_event(view, CLICKED, at, data, rng)
        buys = draw < effect.purchases
        events, order = self._experiments.purchase(
            view, item.product_id, at + timedelta(milliseconds=300), assigned, buys, rng
        )
        if order:
            self.placed.append(order)
        variants = [event["data"]["productVariant"]["id"] for event in events if event["name"] == "product_viewed"]
        return [click, *(_with_properties(event, dict.fromkeys(variants, _property_of(data))) for event in events)]

    def _look_at_list(self, visit: Sequence[Event]) -> list[Event]:
        """The custom events of the list on the product page that the visit starts with."""
        rng, view = self._rng, visit[0]
        in_sight, seconds = rng.random() < LISTS_IN_SIGHT, rng.uniform(1.5, 9)
        viewed_at = _happened_at(view) + timedelta(seconds=seconds)
        next_page = next((n for n, event in enumerate(visit) if event["name"] == "page_viewed"), None)
        left_at = None if next_page is None else _happened_at(visit[next_page]) - timedelta(milliseconds=300)
        if not in_sight or (left_at and left_at <= viewed_at):
            return []
        seed_product_id = view["data"]["productVariant"]["product"]["id"]
        items = self._lists[seed_product_id]
        common = {
            "v": 1,
            "request_id": str(UUID(int=rng.getrandbits(128), version=4)),
            "placement": PLACEMENT,
            "seed_product_id": seed_product_id,
            "model_version": "simulated",
            "version": "simulated",
        }
        listed = {
            "strategies": [item.strategy for item in items],  # per product, in the same order
            "product_ids": [item.product_id for item in items],
        }
        events = [custom_event(view, VIEWED, viewed_at, {**common, **listed}, rng)]
        if left_at and (position := self._clicks(items, visit[:next_page], visit[next_page:])):
            item = items[position - 1]
            clicked = {"strategy": item.strategy, "position": position, "product_id": item.product_id}
            events.append(custom_event(view, CLICKED, left_at, {**common, **clicked}, rng))
        return events

    def _clicks(self, items: Sequence[Item], on_page: Sequence[Event], afterwards: Sequence[Event]) -> int | None:
        """The clicked position, if the next page is opened by a click."""
        opened = _product_opened(afterwards)
        position = next((n for n, item in enumerate(items, start=1) if item.product_id == opened), None)
        if position is None:
            return None
        is_companion = items[position - 1].strategy == "bought_together"
        has_bought = any(event["name"] == "product_added_to_cart" for event in on_page)
        if is_companion and not has_bought:
            return position
        return position if self._rng.random() < FOUND_IN_LIST else None


def _product_opened(visit: Sequence[Event]) -> str | None:
    """The product whose page the visit starts with, if it is a product page."""
    if len(visit) > 1 and visit[1]["name"] == "product_viewed":
        return visit[1]["data"]["productVariant"]["product"]["id"]
    return None


def _clicked(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [event["customData"] for event in events if event["name"] == CLICKED]


def _property_of(data: dict[str, Any]) -> str:
    return f"{data['request_id']}.{data['placement']}.{data['strategy']}.{data['position']}"


def _with_properties(event: Event, lines: dict[str, str]) -> Event:
    """A checkout event with the line properties set when the lines were added to the cart."""
    if not lines or "checkout" not in event["data"]:
        return event
    checkout = event["data"]["checkout"]
    items = [
        {**item, "properties": [{"key": LINE_PROPERTY, "value": lines[item["variant"]["id"]]}]}
        if item["variant"]["id"] in lines
        else item
        for item in checkout["lineItems"]
    ]
    return {**event, "data": {"checkout": {**checkout, "lineItems": items}}}


def _happened_at(event: Event) -> datetime:
    return datetime.fromisoformat(event["timestamp"])
