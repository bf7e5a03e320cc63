"""Exports recommendation lists as files: for a CDN, for Shopify's metafields, for the read API.

Reads the views of the warehouse's schema `exports`, writes the files that serving/published.py describes. Public files
hold no shopper data, and no file holds items that the eligibility check removed.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from serving.eligibility_check import check_eligibility
from serving.experiment_export import write_experiments
from serving.published import RECOMMENDATIONS, SCHEMA, private_folder, shard_name, shop_folder
from serving.settings import ListSettings, read_settings

STRATEGIES = ("bought_together", "viewed_together", "similar", "product_page", "popular", "trending")
METAFIELDS_PER_CALL = 25  # the maximum of metafieldsSet
METAFIELD = {"namespace": "$app:pixelnova", "key": "recommendations", "type": "list.product_reference"}
LIST_PARTS = 8
SHOP_LIST_LENGTH = 20

_CARD = """gid: gid, handle: handle, title: title, vendor: vendor, type: product_type, url: url, image: image,
    price: case when price_amount is not null then {amount: price_amount, currency: price_currency} end"""

# In parts: the aggregated lists must fit into memory.
_LISTS = f"""
insert into lists
select strategy, shop, list, cast(to_json(list({{
    product_id: recommended_product_id, {_CARD}, position: position, score: score,
    reason: {{code: reason_code, support: support, confidence: confidence, lift: lift}}
}} order by position)) as varchar)
from items
where strategy = $strategy and hash(list) % $parts = $part
    and position <= case when strategy in ('popular', 'trending') then $shop_list_length else 1000 end
group by strategy, shop, list
"""

_DOCUMENTS = """
create temp table documents as
select
    seeds.shop, seeds.product_id,
    cast(to_json({product_id: product_id, gid: gid, handle: handle, again: again}) as varchar) as seed,
    coalesce(page.items, '[]') as page, coalesce(bought.items, '[]') as bought, coalesce(viewed.items, '[]') as viewed,
    case when tested.shop is not null then coalesce(alike.items, '[]') end as alike
from warehouse.exports.product_cards as seeds
left join lists as page
    on page.strategy = 'product_page' and seeds.shop = page.shop and seeds.product_id = page.list
left join lists as bought
    on bought.strategy = 'bought_together' and seeds.shop = bought.shop and seeds.product_id = bought.list
left join lists as viewed
    on viewed.strategy = 'viewed_together' and seeds.shop = viewed.shop and seeds.product_id = viewed.list
left join (
    select distinct shop from warehouse.staging.stg_experiments__variations
    where list_contains(string_split(shows, ','), 'similar')
) as tested on seeds.shop = tested.shop
left join lists as alike
    on alike.strategy = 'similar' and seeds.shop = alike.shop and seeds.product_id = alike.list
where seeds.is_seed
"""


@dataclass(frozen=True)
class Exported:
    """Rows by written file (relative to the version), and how many items the eligibility check removed."""

    rows: dict[str, int]
    ineligible_dropped: int
    settings: ListSettings


def export(connection: duckdb.DuckDBPyConnection, folder: Path, version: str) -> Exported:
    """Write all list files into the folder of a version.

    Args:
        connection: with the warehouse attached as `warehouse`, as its current database.
        folder: of the unfinished version.
    """
    dropped = check_eligibility(connection)
    connection.execute("create temp table lists (strategy varchar, shop varchar, list varchar, items varchar)")
    for strategy in STRATEGIES:
        for part in range(LIST_PARTS):
            which = {"strategy": strategy, "parts": LIST_PARTS, "part": part}
            connection.execute(_LISTS, {"shop_list_length": SHOP_LIST_LENGTH, **which})
    settings = read_settings(connection)
    rows: dict[str, int] = {}
    shops = [shop for (shop,) in connection.execute("select shop from warehouse.core.shops order by shop").fetchall()]
    generated_at = {
        shop: as_of.replace(tzinfo=UTC).isoformat()
        for shop, as_of in connection.execute("select shop, as_of from warehouse.intermediate.int_as_of").fetchall()
        if as_of is not None
    }
    headers = {
        shop: {
            "schema": SCHEMA,
            "shop": shop,
            "version": version,
            "model_version": settings.model_version,
            "generated_at": generated_at.get(shop),
        }
        for shop in shops
    }
    (folder / RECOMMENDATIONS / "shops").mkdir(parents=True)
    rows |= _write_strategies(connection, folder)
    for shop in shops:
        (folder / shop_folder(shop) / "products").mkdir(parents=True)
        (folder / private_folder(shop) / "visitors").mkdir(parents=True)
        rows |= _write_catalogue(connection, folder, headers[shop], settings.max_per_vendor_and_type)
        rows |= _write_lists(connection, folder, headers[shop])
        rows |= write_experiments(connection, folder, headers[shop])
        rows |= _write_sessions(connection, folder, shop)
    rows |= _write_shards(connection, folder, headers)
    rows |= _write_metafields(connection, folder, shops)
    rows |= _write_visitors(connection, folder, shops)
    return Exported(rows, dropped, settings)


def _write_strategies(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """Write the lists of each strategy: one JSON line per list, and one Parquet row per item."""
    written = {}
    for strategy in STRATEGIES:
        name = f"{RECOMMENDATIONS}/{strategy}"
        connection.execute(
            "copy (select shop, list, position, recommended_product_id, score, reason_code, support, confidence, lift, "
            "handle, title, url, image, price_amount, price_currency "
            f"from items where strategy = '{strategy}' order by shop, list, position) "
            f"to '{_path(folder / (name + '.parquet'))}' (format parquet)"
        )
        written[f"{name}.parquet"] = connection.execute(
            "select count(*) from items where strategy = $strategy", {"strategy": strategy}
        ).fetchall()[0][0]
        lines = 0
        with (folder / f"{name}.ndjson").open("w", encoding="utf-8") as file:
            cursor = connection.execute(
                "select to_json(shop), to_json(list), items from lists where strategy = $strategy order by shop, list",
                {"strategy": strategy},
            )
            while rows := cursor.fetchmany(10_000):
                for shop, name_of_list, items in rows:
                    file.write(f'{{"shop":{shop},"strategy":"{strategy}","list":{name_of_list},"items":{items}}}\n')
                lines += len(rows)
        written[f"{name}.ndjson"] = lines
    return written


def _write_catalogue(
    connection: duckdb.DuckDBPyConnection, folder: Path, header: dict[str, object], max_per_group: int
) -> dict[str, int]:
    found = connection.execute(
        f"select product_id, {{product_id: product_id, {_CARD}}}, diversity_group "
        "from warehouse.exports.product_cards semi join allowed using (shop, product_id) "
        "where shop = $shop order by product_id",
        {"shop": header["shop"]},
    ).fetchall()
    name = f"{shop_folder(header['shop'])}/catalogue.json"
    (folder / name).write_bytes(
        msgspec.json.encode(
            {
                **header,
                "max_per_group": max_per_group,
                "products": {product_id: product for product_id, product, _ in found},
                "diversity": {product_id: group for product_id, _, group in found if group is not None},
            }
        )
    )
    return {name: len(found)}


def _write_lists(connection: duckdb.DuckDBPyConnection, folder: Path, header: dict[str, object]) -> dict[str, int]:
    """Write popular and trending products of a shop, and popular ones by collection, vendor, type, segment, channel."""
    plural = {"collection": "collections", "vendor": "vendors", "type": "types"}
    plural |= {"segment": "segments", "channel": "channels"}
    lists: dict[str, object] = {"popular": [], "trending": [], **{name: {} for name in plural.values()}}
    for strategy, name, items in connection.execute(
        "select strategy, list, items from lists where strategy in ('popular', 'trending') and shop = $shop "
        "order by strategy, list",
        {"shop": header["shop"]},
    ).fetchall():
        scope, value = name.split("/", 1)
        if scope == "shop":
            lists[strategy] = msgspec.Raw(items.encode())
        else:
            lists[plural[scope]][value] = msgspec.Raw(items.encode())
    name = f"{shop_folder(header['shop'])}/lists.json"
    (folder / name).write_bytes(msgspec.json.encode({**header, **lists}))
    return {name: sum(len(of_scope) for of_scope in lists.values() if isinstance(of_scope, dict)) + 2}


def _write_sessions(connection: duckdb.DuckDBPyConnection, folder: Path, shop: str) -> dict[str, int]:
    name = f"{private_folder(shop)}/sessions.parquet"
    [(rows,)] = connection.execute(
        "copy (select session_number, place, product_id from warehouse.exports.session_views where shop = $shop "
        f"order by session_number, place) to '{_path(folder / name)}' (format parquet)",
        {"shop": shop},
    ).fetchall()
    return {name: rows}


def _write_shards(
    connection: duckdb.DuckDBPyConnection, folder: Path, headers: dict[str, dict[str, object]]
) -> dict[str, int]:
    """Write shards one at a time: all at once would take gigabytes in a large shop."""
    connection.execute(_DOCUMENTS)
    products = connection.execute("select shop, product_id from documents").fetchall()
    places = [(shop, product_id, shard_name(product_id)) for shop, product_id in products if shop in headers]
    # Lists instead of an Arrow table: creating one imports pandas, which takes a second.
    connection.execute(
        "create temp table places as select unnest($shops::varchar[]) as shop, "
        "unnest($products::varchar[]) as product_id, unnest($shards::varchar[]) as shard",
        {name: [place[column] for place in places] for column, name in enumerate(("shops", "products", "shards"))},
    )
    cursor = connection.execute(
        "select places.shard, documents.* from documents inner join places using (shop, product_id) "
        "order by documents.shop, places.shard, documents.product_id"
    )
    written = {}
    for (shop, shard), rows in groupby(_fetched(cursor), key=lambda row: (row[1], row[0])):
        documents = []
        for _, _, product_id, seed, page, bought, viewed, alike in rows:
            key = msgspec.json.encode(product_id).decode()
            of_experiments = "" if alike is None else f',"similar":{alike}'
            documents.append(
                f'{key}:{{"seed":{seed},"placements":'
                f'{{"product_page":{page},"bought_together":{bought},"viewed_together":{viewed}{of_experiments}}}}}'
            )
        name = f"{shop_folder(shop)}/products/{shard}"
        header = msgspec.json.encode(headers[shop]).decode()[:-1]
        (folder / name).write_text(f'{header},"products":{{{",".join(documents)}}}}}', encoding="utf-8")
        written[name] = len(documents)
    return written


def _write_metafields(connection: duckdb.DuckDBPyConnection, folder: Path, shops: list[str]) -> dict[str, int]:
    """Write variables of metafieldsSet (themes render them in Liquid, with live price and stock) and metafieldsDelete.

    metafieldsDelete names every product without a list: it may have had one before, and deleting a missing metafield
    is harmless.
    """
    written = {}
    for shop in shops:
        lists: dict[str, list[str]] = {
            product_id: []
            for (product_id,) in connection.execute(
                "select product_id from warehouse.exports.product_cards where shop = $shop and has_metafield "
                "order by product_id",
                {"shop": shop},
            ).fetchall()
        }
        shown = connection.execute(
            "select list, gid from items where strategy = 'product_page' and shop = $shop and has_metafield "
            "order by list, position",
            {"shop": shop},
        )
        for product_id, gid in _fetched(shown):
            if product_id in lists:
                lists[product_id].append(gid)
        owners = {product_id: f"gid://shopify/Product/{product_id}" for product_id in lists}
        filled = [
            {"ownerId": owners[product_id], **METAFIELD, "value": msgspec.json.encode(gids).decode()}
            for product_id, gids in lists.items()
            if gids
        ]
        named = {name: METAFIELD[name] for name in ("namespace", "key")}
        empty = [{"ownerId": owners[product_id], **named} for product_id, gids in lists.items() if not gids]
        for name, metafields in (("metafields", filled), ("metafields_delete", empty)):
            file = f"{shop_folder(shop)}/{name}.ndjson"
            calls = [
                {"metafields": metafields[begin : begin + METAFIELDS_PER_CALL]}
                for begin in range(0, len(metafields), METAFIELDS_PER_CALL)
            ]
            (folder / file).write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
            written[file] = len(metafields)
    return written


def _write_visitors(connection: duckdb.DuckDBPyConnection, folder: Path, shops: list[str]) -> dict[str, int]:
    lists: dict[tuple[str, str], list[tuple[str, float, str]]] = defaultdict(list)
    journeys: dict[tuple[str, str], dict[str, list[object]]] = defaultdict(dict)
    clients: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    shown = connection.execute(
        "select shop, journey_id, recommended_product_id, score, strategy "
        "from warehouse.exports.visitor_items as items semi join allowed "
        "on items.shop = allowed.shop and items.recommended_product_id = allowed.product_id "
        "order by shop, journey_id, position"
    )
    for shop, journey_id, *item in _fetched(shown):
        lists[shop, journey_id].append(tuple(item))
    visitors = connection.execute(
        "select shop, journey_id, segment, channel from warehouse.exports.visitors order by shop, journey_id"
    )
    for shop, journey_id, segment, channel in _fetched(visitors):
        items = lists.pop((shop, journey_id), [])
        strategy = items[0][2] if items else "segment"
        journeys[shop, shard_name(journey_id)][journey_id] = [strategy, segment, channel, items]
    known = connection.execute(
        "select shop, client_id, journey_id from warehouse.exports.visitor_clients order by shop, client_id"
    )
    for shop, client_id, journey_id in _fetched(known):
        clients[shop, shard_name(client_id)][client_id] = journey_id
    written = {}
    for shop, shard in sorted({*journeys, *clients}):
        if shop not in shops:
            continue
        name = f"{private_folder(shop)}/visitors/{shard}"
        document = {"journeys": journeys[shop, shard], "clients": clients[shop, shard]}
        (folder / name).write_bytes(msgspec.json.encode(document))
        written[name] = len(journeys[shop, shard])
    return written


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(1_000):
        yield from rows


def _path(path: Path) -> str:
    return str(path).replace("'", "''")
