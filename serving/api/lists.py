"""Composes the list for one request: for a product, for a part of the shop, for a session, for a person.

Reads a published shop, returns a response. Every item passes through `Selection`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from serving.api.documents import Placement, ProductList, Recommendations, VisitorList
from serving.api.refusals import Problem
from serving.api.session_neighbours import blend, combined_lists, recent_weights
from serving.api.shops import Candidate, Shop
from serving.published import Item, Reason, Seed, Visitor

MAX_NAMES_LISTED = 30  # of existing lists, in the error about an unknown one
SESSION = Reason("session")


async def for_product(
    shop: Shop, product_id: str, placement: Placement, variation: str | None, limit: int, excluded: set[str]
) -> Recommendations:
    """A product's list, or popular products of its type while it has none; or what a variation shows instead."""
    tiers = None if variation is None else _tiers(shop, variation)
    known, product = await shop.known(product_id), shop.catalogue.products.get(product_id)
    if known is not None:
        seed, candidates, fill = (
            known.lists.seed,
            known.lists.placements.get(placement, []),
            placement == "product_page",
        )
    elif product is not None:
        seed, fill = Seed(product_id, product.gid, product.handle, 0.0), True
        candidates = shop.lists.types.get(product.type or "", [])
    else:
        raise Problem(
            404,
            f"Product {product_id} is unknown in {shop.name}.",
            "Use the product's numeric Shopify id; new products are known after the next refresh.",
        )
    if tiers is None:
        items = _chosen(shop, candidates, limit, {product_id}, excluded, fill)
    else:
        placements = {} if known is None else known.lists.placements
        lists = {"popular": shop.lists.popular, "trending": shop.lists.trending, **placements}
        tried = (_chosen(shop, lists.get(name, []), limit, {product_id}, excluded, fill=False) for name in tiers)
        items = next(filter(None, tried), [])
    return Recommendations(**shop.head, placement=placement, seed=seed, items=items)


def _tiers(shop: Shop, variation: str) -> list[str] | None:
    """The lists that a variation tries, by `<experiment>.<variation>`; None for the default ones."""
    known = {
        f"{phase.experiment}.{served.variation}": served.tiers
        for phase in shop.experiments.experiments
        for served in phase.variations
    }
    if variation not in known:
        raise Problem(
            404,
            f"{shop.name} has no variation {variation}.",
            f"Available: {', '.join(sorted(known)[:MAX_NAMES_LISTED]) or 'none'}.",
        )
    return known[variation]


def shop_list(shop: Shop, name: str, key: str | None, limit: int, excluded: set[str]) -> ProductList:
    """A list from lists.json."""
    candidates = getattr(shop.lists, name)
    if key is not None:
        if key not in candidates:
            raise Problem(
                404,
                f"{shop.name} has no list {name}/{key}.",
                f"Available: {', '.join(sorted(candidates)[:MAX_NAMES_LISTED]) or 'none yet'}.",
            )
        candidates = candidates[key]
    items = _chosen(shop, candidates, limit, set(), excluded, fill=False)
    return ProductList(**shop.head, list_name=name, key=key, items=items)


async def for_session(shop: Shop, viewed: Sequence[str], limit: int, excluded: set[str]) -> ProductList:
    """The products that similar sessions viewed next. Unknown products are ignored."""
    last = recent_weights(viewed, shop.settings)
    together = {product_id: known.together for product_id in last if (known := await shop.known(product_id))}
    if shop.neighbours is None:
        ranked = combined_lists(viewed, together, shop.settings)
    else:
        ranked = blend(viewed, shop.neighbours, together)
    candidates = (Candidate(product_id, score, SESSION) for product_id, score in ranked)
    items = _chosen(shop, candidates, limit, set(viewed), excluded, fill=True)
    return ProductList(**shop.head, list_name="session", items=items)


async def for_visitor(shop: Shop, visitor_id: str, by_journey: bool, limit: int, excluded: set[str]) -> VisitorList:
    """A person's list, or the popular one. by_journey: whether a journey id is accepted as well as a client id."""
    visitor = await shop.visitor(visitor_id, by_journey) or Visitor("popular", None, None, [])
    candidates = [Candidate(product_id, score, Reason(code)) for product_id, score, code in visitor.items]
    return VisitorList(
        **shop.head,
        strategy=visitor.strategy,
        segment=visitor.segment,
        channel=visitor.channel,
        items=_chosen(shop, candidates, limit, set(), excluded, fill=True),
    )


def _chosen(
    shop: Shop,
    candidates: Iterable[Candidate | Item],
    limit: int,
    seeds: set[str],
    excluded: set[str],
    fill: bool,
) -> list[Item]:
    """The items that may be shown. fill: fill up with popular products, which would be wrong for "bought together"."""
    selection = Selection(shop, limit, excluded | seeds)
    selection.take(candidates)
    if fill:
        selection.take(shop.lists.popular)
    return selection.items


class Selection:
    """Selects items: in the catalogue, not viewed or excluded (by id or handle), no duplicates, at most a few per
    group."""

    def __init__(self, shop: Shop, limit: int, banned: set[str]) -> None:
        self._catalogue, self._limit, self._banned = shop.catalogue, limit, set(banned)
        self._in_group: dict[str, int] = defaultdict(int)
        self.items: list[Item] = []

    def take(self, candidates: Iterable[Candidate | Item]) -> None:
        """Add the candidates that may be shown, in order, until the list is full."""
        products, groups, most = self._catalogue.products, self._catalogue.diversity, self._catalogue.max_per_group
        if len(self.items) >= self._limit:
            return
        for candidate in candidates:
            product_id = candidate.product_id
            product = products.get(product_id)
            if product is None or product_id in self._banned or product.handle in self._banned:
                continue
            group = groups.get(product_id)
            if group is not None:
                if self._in_group[group] >= most:
                    continue
                self._in_group[group] += 1
            self._banned.add(product_id)
            self.items.append(
                Item(
                    product_id=product_id,
                    gid=product.gid,
                    handle=product.handle,
                    title=product.title,
                    vendor=product.vendor,
                    type=product.type,
                    url=product.url,
                    image=product.image,
                    price=product.price,
                    position=len(self.items) + 1,
                    score=candidate.score,
                    reason=candidate.reason,
                )
            )
            if len(self.items) == self._limit:
                return
