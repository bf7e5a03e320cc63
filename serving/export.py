"""Lists of the warehouse as files: for a CDN, for Shopify's metafields, for the read API.

A connection to the warehouse flows in; the files that serving/published.py describes flow out. No shopper is in the
public ones. What may be shown is looked at once more here, by the catalogue itself: zero ineligible items, ever.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from pathlib import Path

import duckdb
import msgspec

from serving.published import RECOMMENDATIONS, SCHEMA, private_folder, shard_name, shop_folder
from serving.settings import ListSettings, read_settings

STRATEGIES = ("bought_together", "viewed_together", "similar", "product_page", "popular", "trending")
METAFIELDS_PER_CALL = 25  # what metafieldsSet takes
METAFIELD = {"namespace": "$app:pixelnova", "key": "recommendations", "type": "list.product_reference"}
LIST_PARTS = 8
SHOP_LIST_LENGTH = 20
SESSIONS_KEPT = 100_000  # of each shop, the newest: what the read API holds in memory
VISITOR_DAYS = 30

# Who may be shown, by the catalogue and the merchant's words alone; `eligibility` has said the same in other words.
# Addresses may come from events, which anybody can send and which carry what shoppers came with: the page's is made of
# the handle, and an image lies where the shop's images lie.
_ALLOWED = """
create temp table allowed as
select
    products.shop, products.product_id, eligibility.diversity_group, products.source,
    {
        product_id: products.product_id,
        gid: case when regexp_full_match(products.product_id, '[0-9]+')
            then 'gid://shopify/Product/' || products.product_id end,
        handle: products.handle, title: products.title, vendor: products.vendor, type: products.product_type,
        url: '/products/' || products.handle,
        image: case when lower(regexp_extract(products.image_url, '^https://([^/?#:]+)/', 1)) in (
            select 'cdn.shopify.com' union all
            select hosts.host from warehouse.raw_shops.hosts as hosts where hosts.shop = products.shop
        ) then products.image_url end,
        price: case when products.price_min is not null then {
            amount: regexp_replace(cast(products.price_min as varchar), '(\\.[0-9]{2}[0-9]*?)0*$', '\\1'),
            currency: products.currency
        } end
    } as product
from warehouse.core.products as products
inner join warehouse.recommendations.eligibility as eligibility using (shop, product_id)
inner join warehouse.core.shops as shops on products.shop = shops.shop
where
    eligibility.is_eligible and products.is_published and products.is_available and not products.is_deleted
    and not coalesce(products.is_gift_card, false) and coalesce(products.price_max > 0, true)
    and not exists (
        select 1 from warehouse.raw_shops.recommendation_rules as rules
        where rules.shop = products.shop and rules.rule = 'exclude'
            and rules.product in (lower(products.product_id), lower(products.handle))
    )
    and not exists (
        select 1 from warehouse.intermediate.int_recommendation_rules as rules
        where rules.shop = products.shop and rules.rule = 'exclude' and rules.product_id = products.product_id
    )
"""

# One shape for every list: which it is, what is in it and why.
_LISTED = """
create temp table offered as
select
    strategy, shop, product_id as list, position, recommended_product_id, score,
    {code: strategy, support: support, confidence: confidence, lift: lift} as reason
from warehouse.recommendations.related_products
union all
select
    'product_page', shop, product_id, position, recommended_product_id, 1.0 / position,
    {code: strategy, support: support, confidence: confidence, lift: lift}
from warehouse.recommendations.product_page
union all
select
    strategy, shop, scope || '/' || scope_value, position, recommended_product_id, score,
    {code: case when scope = 'shop' then strategy else strategy || '_in_' || scope end, support: support,
        confidence: null, lift: null}
from warehouse.recommendations.popular_products
"""

_ITEMS = """
create temp table items as
select
    offered.strategy, offered.shop, offered.list,
    row_number() over (
        partition by offered.strategy, offered.shop, offered.list order by offered.position
    ) as position,
    offered.recommended_product_id, offered.score, offered.reason, allowed.product, allowed.source
from offered
inner join allowed on offered.shop = allowed.shop and offered.recommended_product_id = allowed.product_id
where offered.list <> offered.recommended_product_id
"""

# A part of them at a time: an aggregated list has to fit into memory.
_LISTS = """
insert into lists
select
    strategy, shop, list,
    cast(to_json(list({
        product_id: product.product_id, gid: product.gid, handle: product.handle, title: product.title,
        vendor: product.vendor, type: product.type, url: product.url, image: product.image, price: product.price,
        position: position, score: score, reason: reason
    } order by position)) as varchar) as items
from items
where strategy = $strategy and hash(list) % $parts = $part
    and position <= case when strategy in ('popular', 'trending') then $shop_list_length else 1000 end
group by strategy, shop, list
"""

_SEEDS = """
select
    products.shop, products.product_id,
    cast(to_json({
        product_id: products.product_id,
        gid: case when regexp_full_match(products.product_id, '[0-9]+')
            then 'gid://shopify/Product/' || products.product_id end,
        handle: products.handle,
        again: coalesce(viewed.again, 0)
    }) as varchar) as seed,
    coalesce(product_page.items, '[]') as page, coalesce(bought.items, '[]') as bought,
    coalesce(viewed_lists.items, '[]') as viewed
from warehouse.core.products as products
left join warehouse.intermediate.int_viewed_products as viewed
    on products.shop = viewed.shop and products.product_id = viewed.product_id and viewed.trained_for = 'now'
left join lists as product_page on product_page.strategy = 'product_page'
    and products.shop = product_page.shop and products.product_id = product_page.list
left join lists as bought on bought.strategy = 'bought_together'
    and products.shop = bought.shop and products.product_id = bought.list
left join lists as viewed_lists on viewed_lists.strategy = 'viewed_together'
    and products.shop = viewed_lists.shop and products.product_id = viewed_lists.list
where not products.is_deleted
"""

# Products that the catalogue knows, each with what its page shows of these.
_METAFIELDS = """
select
    products.product_id,
    coalesce(
        list(items.product.gid order by items.position) filter (where items.product.gid is not null), []
    ) as gids
from warehouse.core.products as products
left join items on items.strategy = 'product_page' and items.shop = products.shop
    and items.list = products.product_id and items.source <> 'events'
where products.shop = $shop and products.source <> 'events' and not products.is_deleted
    and regexp_full_match(products.product_id, '[0-9]+')
group by products.product_id
order by products.product_id
"""

# A session that may go on says more of the next click than the taste of months; who is new gets what a segment likes.
_VISITORS = """
with journeys as (
    select shop, journey_id, last_non_direct_channel as channel
    from warehouse.core.user_journeys
    inner join warehouse.intermediate.int_as_of as as_of using (shop)
    where not is_bot and last_seen_at > as_of.as_of - to_days($days)
),
-- Global Privacy Control asks not to be profiled: who sends it gets the lists that everybody gets.
objecting as (
    select distinct visits.journey_id
    from warehouse.intermediate.int_events as events
    inner join warehouse.intermediate.int_visits as visits on events.session_id = visits.session_id
    where events.has_global_privacy_control
),
personal as (
    select shop, journey_id, strategy, position, recommended_product_id, score
    from warehouse.recommendations.personal
    where journey_id not in (select journey_id from warehouse.recommendations.next_in_session)
    union all
    select shop, journey_id, 'session_blend', position, recommended_product_id, score
    from warehouse.recommendations.next_in_session
),
shown as (
    select personal.*
    from personal
    inner join allowed on personal.shop = allowed.shop and personal.recommended_product_id = allowed.product_id
    anti join objecting on personal.journey_id = objecting.journey_id
),
lists as (
    select
        shop, journey_id, any_value(strategy) as strategy,
        list([recommended_product_id, cast(score as varchar)] order by position) as items
    from shown
    group by shop, journey_id
)
select
    journeys.shop, journeys.journey_id, coalesce(lists.strategy, 'segment'),
    case when objecting.journey_id is null then coalesce(segments.segment, 'visitor') end,
    case when objecting.journey_id is null then journeys.channel end, coalesce(lists.items, [])
from journeys
left join lists on journeys.shop = lists.shop and journeys.journey_id = lists.journey_id
left join warehouse.intermediate.int_customer_segments as segments on journeys.journey_id = segments.journey_id
left join objecting on journeys.journey_id = objecting.journey_id
order by journeys.shop, journeys.journey_id
"""

_CLIENTS = """
select map.shop, map.identifier, map.journey_id
from warehouse.core.identity_map as map
inner join warehouse.core.user_journeys as journeys on map.journey_id = journeys.journey_id
inner join warehouse.intermediate.int_as_of as as_of on map.shop = as_of.shop
where map.identifier_kind = 'client' and not journeys.is_bot
    and journeys.last_seen_at > as_of.as_of - to_days($days)
order by map.shop, map.identifier
"""

_SESSIONS = """
with products as (
    select session_id, product_id, max(last_viewed_at) as last_viewed_at, min(views_to_end) as views_to_end
    from warehouse.intermediate.int_session_products
    where shop = $shop and last_viewed_at > (
        select as_of from warehouse.intermediate.int_as_of where shop = $shop
    ) - to_days($days)
    group by session_id, product_id
),
numbered as (
    select
        dense_rank() over (order by last_viewed_at desc, session_id) - 1 as session_number,
        1 + max(views_to_end) over (partition by session_id) - views_to_end as place,
        product_id
    from products
)
select session_number, place, product_id from numbered where session_number < $sessions
"""


@dataclass(frozen=True)
class Exported:
    """What was written: rows by file (relative to the version), and how many items the last look took out."""

    rows: dict[str, int]
    ineligible_dropped: int
    settings: ListSettings


def export(connection: duckdb.DuckDBPyConnection, folder: Path, version: str) -> Exported:
    """Write all files of the lists into the folder of a version.

    Args:
        connection: with the warehouse attached as `warehouse`, and in use.
        folder: of the version that is being made.
    """
    for statement in (_ALLOWED, _LISTED, _ITEMS):
        connection.execute(statement)
    connection.execute("create temp table lists (strategy varchar, shop varchar, list varchar, items varchar)")
    for strategy in STRATEGIES:
        for part in range(LIST_PARTS):
            which = {"strategy": strategy, "parts": LIST_PARTS, "part": part}
            connection.execute(_LISTS, {"shop_list_length": SHOP_LIST_LENGTH, **which})
    [(offered, kept)] = connection.execute(
        "select (select count(*) from offered), (select count(*) from items)"
    ).fetchall()
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
        rows |= _write_sessions(connection, folder, shop, settings.neighbour_days)
    rows |= _write_shards(connection, folder, headers)
    rows |= _write_metafields(connection, folder, shops)
    rows |= _write_visitors(connection, folder, shops)
    return Exported(rows, offered - kept, settings)


def _write_strategies(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """Every list of a strategy, as one line each and as one row for each item."""
    written = {}
    for strategy in STRATEGIES:
        name = f"{RECOMMENDATIONS}/{strategy}"
        connection.execute(
            "copy (select shop, list, position, recommended_product_id, score, reason.code as reason_code, "
            "reason.support, reason.confidence, reason.lift, product.handle, product.title, product.url, "
            "product.image, product.price.amount as price_amount, product.price.currency as price_currency "
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
        "select product_id, product, diversity_group from allowed where shop = $shop order by product_id",
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
    """Popular and trending products of a shop, and what is popular within each part of it."""
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


def _write_sessions(connection: duckdb.DuckDBPyConnection, folder: Path, shop: str, days: int) -> dict[str, int]:
    name = f"{private_folder(shop)}/sessions.parquet"
    connection.execute(
        f"create or replace temp table sessions_of_shop as {_SESSIONS}",
        {"shop": shop, "sessions": SESSIONS_KEPT, "days": days},
    )
    connection.execute(
        f"copy (from sessions_of_shop order by session_number, place) to '{_path(folder / name)}' (format parquet)"
    )
    [(rows,)] = connection.execute("select count(*) from sessions_of_shop").fetchall()
    return {name: rows}


def _write_shards(
    connection: duckdb.DuckDBPyConnection, folder: Path, headers: dict[str, dict[str, object]]
) -> dict[str, int]:
    """One shard after the other: all of them at once are gigabytes in a large shop."""
    connection.execute(f"create temp table documents as {_SEEDS}")
    products = connection.execute("select shop, product_id from documents").fetchall()
    places = [(shop, product_id, shard_name(product_id)) for shop, product_id in products if shop in headers]
    # DuckDB takes an Arrow table as well, but making one loads pandas, which takes a second.
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
        for _, _, product_id, seed, page, bought, viewed in rows:
            key = msgspec.json.encode(product_id).decode()
            documents.append(
                f'{key}:{{"seed":{seed},"placements":'
                f'{{"product_page":{page},"bought_together":{bought},"viewed_together":{viewed}}}}}'
            )
        name = f"{shop_folder(shop)}/products/{shard}"
        header = msgspec.json.encode(headers[shop]).decode()[:-1]
        (folder / name).write_text(f'{header},"products":{{{",".join(documents)}}}}}', encoding="utf-8")
        written[name] = len(documents)
    return written


def _write_metafields(connection: duckdb.DuckDBPyConnection, folder: Path, shops: list[str]) -> dict[str, int]:
    """Variables of metafieldsSet (themes render them in Liquid, with today's price and stock) and of metafieldsDelete.

    The latter names all products without a list: it may have had one before, and deleting what is not there is free.
    """
    written = {}
    for shop in shops:
        lists = dict(connection.execute(_METAFIELDS, {"shop": shop}).fetchall())
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
    journeys: dict[tuple[str, str], dict[str, list[object]]] = defaultdict(dict)
    clients: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for shop, journey_id, strategy, segment, channel, items in _rows(connection, _VISITORS):
        journeys[shop, shard_name(journey_id)][journey_id] = [
            strategy,
            segment,
            channel,
            [[product_id, float(score), strategy] for product_id, score in items],
        ]
    for shop, client_id, journey_id in _rows(connection, _CLIENTS):
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


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[tuple[object, ...]]:
    yield from connection.execute(sql, {"days": VISITOR_DAYS}).fetchall()


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, ...]]:
    while rows := cursor.fetchmany(1_000):
        yield from rows


def _path(path: Path) -> str:
    return str(path).replace("'", "''")
