"""Experiments on the simulated store's lists, with known causal effects.

Reads experiments.toml's experiments and where lists render; returns exposures, and clicks and purchases that would not
have happened without the list. `Planted` records these effects, for tests to compare with measured ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from ingestion.experiments import Experiment, Phase, Variation, assigned_variation
from ingestion.shops import Shop
from ingestion.simulator.catalogue import Catalogue
from ingestion.simulator.orders import PlacedOrder
from ingestion.simulator.pixel_events import Browser, Checkout, Device, Event

EXPOSED = "pixelnova:experiment_exposed"


@dataclass(frozen=True)
class Effect:
    """What a list causes in a visit that sees it: probabilities of a click only, and of a click and a purchase."""

    clicks: float
    purchases: float


# By what a variation shows; everything else has the effect of the default lists.
EFFECTS = {
    "default": Effect(clicks=0.04, purchases=0.015),
    "bought_together,popular": Effect(clicks=0.12, purchases=0.18),
    "popular": Effect(clicks=0.05, purchases=0.01),
    "nothing": Effect(clicks=0, purchases=0),
}


@dataclass(frozen=True)
class Assignment:
    """One experiment's variation of a unit."""

    experiment: Experiment
    phase: Phase
    variation: Variation


@dataclass
class Planted:
    """The ground truth of a simulation: the probabilities, and the orders that only the lists caused."""

    # When each unit was exposed, by experiment, phase and variation.
    exposures: dict[tuple[str, int, str], dict[str, list[datetime]]] = field(default_factory=dict)
    orders: dict[int, tuple[Sequence[Assignment], str, PlacedOrder]] = field(default_factory=dict)

    def document(self, begin: datetime, end: datetime) -> dict[str, Any]:
        """As JSON; exposures and orders from `begin` to before `end`."""
        placed = [(arms, shows, one) for arms, shows, one in self.orders.values() if begin <= one.placed_at < end]
        variations = []
        for (experiment, phase, variation), units in sorted(self.exposures.items()):
            exposed = sum(any(begin <= at < end for at in exposures) for exposures in units.values())
            if not exposed:
                continue
            orders = [
                one
                for arms, _, one in placed
                if (experiment, phase, variation) in {(a.experiment.key, a.phase.number, a.variation.key) for a in arms}
            ]
            variations.append(
                {
                    "experiment": experiment,
                    "phase": phase,
                    "variation": variation,
                    "units": exposed,
                    "orders_caused": len(orders),
                    "sales_caused_cents": sum(one.subtotal_cents for one in orders),
                }
            )
        return {
            "effects": {
                shows: {"clicks": effect.clicks, "purchases": effect.purchases} for shows, effect in EFFECTS.items()
            },
            "variations": variations,
            "orders_caused": [
                {"order_id": str(one.id), "shows": shows, "subtotal_cents": one.subtotal_cents}
                for _, shows, one in placed
            ],
        }


class Experiments:
    """The experiments of one shop, and what was planted so far. lost: the share of treatment exposures that is lost."""

    def __init__(self, shop: Shop, catalogue: Catalogue, experiments: Sequence[Experiment], lost: float = 0) -> None:
        self._shop, self._catalogue, self._lost = shop, catalogue, lost
        mine = [one for one in experiments if one.shop == shop.domain]
        self._experiments = sorted(mine, key=lambda one: not one.is_holdout)  # the holdout first
        self._assigned: dict[tuple[str, tuple[tuple[str, int], ...]], list[Assignment]] = {}
        self._products = {str(product.id): product for product in catalogue.products}
        self.planted = Planted()

    def assigned(self, client_id: str, at: datetime) -> list[Assignment]:
        """The variations of a browser at this time; only that of the holdout if it is held out."""
        running = [(one, phase) for one in self._experiments if (phase := _running(one, at))]
        key = (client_id, tuple((one.key, phase.number) for one, phase in running))
        if key not in self._assigned:  # hashing is slow, and a browser opens many pages
            self._assigned[key] = list(_assignments(running, unit_of(client_id)))
        return self._assigned[key]

    def exposures(
        self, view: Event, assigned: Sequence[Assignment], placement: str, request_id: str, rng: Random
    ) -> list[dict[str, Any]]:
        """The custom data of the exposures of a list that renders on the page of `view`."""
        unit = unit_of(view["clientId"])
        exposed = []
        for one in assigned:
            if self._lost and one.variation is not one.experiment.variations[0] and rng.random() < self._lost:
                continue
            key = (one.experiment.key, one.phase.number, one.variation.key)
            at = datetime.fromisoformat(view["timestamp"])
            self.planted.exposures.setdefault(key, {}).setdefault(unit, []).append(at)
            exposed.append(
                {
                    "v": 1,
                    "experiment": one.experiment.key,
                    "phase": one.phase.number,
                    "variation": one.variation.key,
                    "unit": unit,
                    "placement": placement,
                    "request_id": request_id,
                    "seed_product_id": view["data"]["productVariant"]["product"]["id"],
                }
            )
        return exposed

    def purchase(
        self, page: Event, product_id: str, at: datetime, assigned: Sequence[Assignment], buys: bool, rng: Random
    ) -> tuple[list[Event], PlacedOrder | None]:
        """The product's page opened by a click and, if the visitor buys, a guest's order of it."""
        product = self._products[product_id]
        variant = rng.choice([one for one in product.variants if one.inventory] or product.variants)
        browser = self._browser(page, rng)
        browser.open_page(f"/products/{product.handle}", product.title, at)
        browser.emit(
            "product_viewed", at + timedelta(milliseconds=150), {"productVariant": browser.variant(product, variant)}
        )
        if not buys:
            return browser.events, None
        line = (product, variant, 1)
        checkout = Checkout(
            token=f"{rng.getrandbits(128):032x}",
            lines=[line],
            discounts=[],
            delivery_cents=0 if variant.price_cents >= 7500 else 695,
            tax_percent=6.25,
            customer_id=None,
            is_first_order=True,
        )
        at += timedelta(seconds=20)
        browser.emit("product_added_to_cart", at, {"cartLine": browser.cart_line(*line)})
        path = f"/checkouts/cn/{checkout.token}"
        at += timedelta(seconds=20)
        browser.open_page(path, "Checkout", at)
        browser.emit("checkout_started", at + timedelta(milliseconds=200), checkout.data(browser))
        at += timedelta(seconds=90)
        browser.emit("payment_info_submitted", at, checkout.data(browser))
        at += timedelta(seconds=10)
        order = PlacedOrder(
            id=5_300_000_000_000 + rng.randrange(10**11),
            checkout_token=checkout.token,
            source_name="web",
            placed_at=at,
            currency=self._shop.currency,
            customer_id=None,
            lines=(line,),
            subtotal_cents=checkout.subtotal_cents,
            discounted_cents=tuple(checkout.final_line_cents),
            discount_cents=checkout.discount_cents,
            shipping_cents=checkout.shipping_cents,
            tax_cents=checkout.tax_cents,
        )
        browser.open_page(f"{path}/thank-you", "Thank you", at)
        browser.emit(
            "checkout_completed",
            at + timedelta(milliseconds=300),
            checkout.data(browser, order.id, paid=True),
        )
        self.planted.orders[order.id] = (assigned, shown_by(assigned), order)
        return browser.events, order

    def _browser(self, page: Event, rng: Random) -> Browser:
        """The browser that has the page open, with a separate random generator."""
        navigator, screen = page["context"]["navigator"], page["context"]["window"]["screen"]
        device = Device(navigator["userAgent"], navigator["language"], screen["width"], screen["height"])
        url = page["context"]["document"]["location"]["href"]
        return Browser(page["clientId"], device, self._shop.domain, self._shop.currency, rng, url=url)


def unit_of(client_id: str) -> str:
    """The snippet's unit id in this browser."""
    return str(UUID(int=Random(f"unit/{client_id}").getrandbits(128), version=4))


def shown_by(assigned: Sequence[Assignment]) -> str:
    """What a visitor is shown: by the first experiment that changes the lists, else the default."""
    return next((one.variation.shows for one in assigned if one.variation.tiers is not None), "default")


def _running(experiment: Experiment, at: datetime) -> Phase | None:
    return next(
        (one for one in experiment.phases if one.started_at <= at and (one.ended_at is None or at < one.ended_at)), None
    )


def _assignments(running: Sequence[tuple[Experiment, Phase]], unit: str) -> Iterator[Assignment]:
    holdout = next((experiment for experiment, _ in running if experiment.is_holdout), None)
    for experiment, phase in running:
        if variation := assigned_variation(experiment, phase, unit, holdout):
            yield Assignment(experiment, phase, variation)
