"""Generates landing files with millions of events, using DuckDB, for benchmarks.

Takes a number of events, writes sealed landing files in the order of receipt. One shop has about 10,000 events a day,
so more events mean a longer history. Sessions have about seven events; a third are of returning clients, 10 % have a
cart, 4 % a checkout, some of these by customers on a second browser. 2 % of the events arrive late, by up to two weeks.
On request, 90 % of the sessions are exposed to an experiment, most of these see a list, and some click in it.
"""

from collections.abc import Callable
from pathlib import Path

import duckdb

SHOP = "pixelnova-demo.myshopify.com"
EXPERIMENT = "lists"
EVENTS_PER_DAY = 10_000
EVENTS_PER_SESSION = 7
EVENTS_PER_FILE = 50_000
FIRST_DAY = "2023-01-01"

_EVENTS = """
create table events as
with sessions as (
    select
        session,
        hash(session) as draw,
        -- A third are returning clients of the last 20,000 sessions.
        case
            when hash(session) % 3 = 0 and session > 20000 then session - 1 - (hash(session, 1) % 20000)::bigint
            else session
        end as client,
        timestamp '{first_day}' + to_microseconds(
            cast((session + (hash(session, 2) % 1000) / 1000.0) * 86400e6 * {per_session} / {per_day} as bigint)
        ) as started_at
    from range({sessions}) as numbers (session)
),
lengths as (
    select
        *,
        cast(2 + (draw // 7 % 9) as bigint) as views,
        draw // 100 % 10 = 0 as has_cart,
        draw // 100 % 25 = 0 as has_checkout
    from sessions
),
steps as (
    select *, unnest(range(views)) as step, case when step % 2 = 0 then 'page_viewed' else 'product_viewed' end as name
    from lengths
    union all
    select *, 20 as step, 'product_added_to_cart' as name from lengths where has_cart
    union all
    select *, 21 as step, 'cart_viewed' as name from lengths where has_cart
    union all
    select *, unnest([22, 23, 24]) as step,
        unnest(['checkout_started', 'payment_info_submitted', 'checkout_completed']) as name
    from lengths where has_checkout
    union all
    select *, 12 as step, 'pixelnova:experiment_exposed' as name from lengths where {is_exposed}
    union all
    select *, 13 as step, 'pixelnova:recommendation_viewed' as name from lengths where {is_exposed} and draw % 5 < 3
    union all
    select *, 14 as step, 'pixelnova:recommendation_clicked' as name from lengths where {is_exposed} and draw % 50 < 3
),
events as (
    select
        session, step, name, client, draw,
        md5('e' || session || '-' || step) as id,
        md5('u' || client) as unit,
        case when name = 'pixelnova:experiment_exposed' then {variation} end as variation,
        started_at + to_microseconds(cast(step * 25e6 + hash(session, step) % 20000000 as bigint)) as event_at,
        -- A few products have most of the views.
        {product} as product
    from steps
)
select
    *,
    event_at + case
        when hash(id) % 50 = 0 then to_microseconds(cast(hash(id, 1) % 1209600000000 as bigint))
        else to_microseconds(cast(500000 + hash(id, 1) % 3000000 as bigint))
    end as received_at
from events
order by received_at, id
"""

_ANY_PRODUCT = "cast(power(hash(session, step, 3) % 1000000 / 1e6, 3) * 500 as bigint)"
# Three in four views of a session are of products near one product.
_NEIGHBOUR = """
        cast(case
            when hash(session, step, 4) % 4 = 0 then power(hash(session, step, 3) % 1000000 / 1e6, 3) * {products}
            else abs(
                power(hash(session, 3) % 1000000 / 1e6, 3) * {products}
                + power(hash(session, step, 3) % 1000000 / 5e5 - 1, 3) * 40
            )
        end as bigint) % {products}
"""

_LINES = """
select concat(
    '{{"v":1,"received_at":"', strftime(received_at, '%Y-%m-%dT%H:%M:%S.%fZ'), '","shop":"{shop}","source":"pixel",',
    '"request_id":"', left(id, 12), '","index":0,"visitor_hash":"', right(id, 16), '","user_agent":null,',
    '"origin":null,"gpc":false,"host_ok":true,"consent":{{"analyticsProcessingAllowed":true,"marketingAllowed":true,',
    '"preferencesProcessingAllowed":true,"saleOfDataAllowed":false}},"pixel_version":"benchmark",',
    '"event":{{"id":"sh-', id,
    '","clientId":"', md5('c' || client), '","name":"', name, '","seq":', step, ',"timestamp":"',
    strftime(event_at, '%Y-%m-%dT%H:%M:%S.%gZ'), '","type":"',
    case when name like 'pixelnova:%' then 'custom' else 'standard' end,
    '","context":{{"document":{{"characterSet":"UTF-8",',
    '"location":{{"hash":"","host":"{shop}","hostname":"{shop}","href":"https://{shop}', page, query, '",',
    '"origin":"https://{shop}","pathname":"', page, '","port":"","protocol":"https:","search":"',
    query, '"}},"referrer":"',
    referrer, '","title":"Page ', product, '"}},"navigator":{{"cookieEnabled":true,"language":"en-US",',
    '"languages":["en-US",',
    '"en"],"userAgent":"', user_agent, '"}},"window":{{"innerHeight":724,"innerWidth":390,"outerHeight":844,',
    '"outerWidth":390,',
    '"pageXOffset":0,"pageYOffset":0,"screen":{{"height":844,"width":390}},"screenX":0,"screenY":0,"scrollX":0,',
    '"scrollY":0,"location":{{"host":"{shop}","href":"https://{shop}', page, query, '","pathname":"',
    page, '"}}}}}},',
    case when name like 'pixelnova:%' then '"customData":' else '"data":' end,
    case
        when name = 'pixelnova:experiment_exposed' then
            '{{"v":1,"experiment":"{experiment}","phase":1,"variation":"' || variation || '","unit":"' || unit || '"}}'
        when name like 'pixelnova:%' then concat(
            '{{"v":1,"request_id":"', md5('r' || session), '","placement":"product_page","model_version":"1",',
            '"version":"1","seed_product_id":"', 7300000000000 + product, '",',
            case
                when name = 'pixelnova:recommendation_viewed' then concat(
                    '"strategies":', to_json(list_transform(range(8), lambda n: 'popular')),
                    ',"product_ids":', to_json(list_transform(range(8), lambda n: cast(7300000000000 + n as text)))
                )
                else '"strategy":"popular","position":1,"product_id":"7300000000000"'
            end,
            '}}'
        )
        when name = 'product_viewed' then '{{"productVariant":' || variant || '}}'
        when name = 'product_added_to_cart' then '{{"cartLine":' || line || '}}'
        when name = 'cart_viewed' then '{{"cart":{{"id":"1","lines":[' || line || '],"totalQuantity":1}}}}'
        when name = 'page_viewed' then '{{}}'
        else '{{"checkout":' || checkout || '}}'
    end,
    '}}}}'
) as line
from (
    select
        *,
        '{{"amount":' || price || ',"currencyCode":"USD"}}' as money,
        concat(
            '{{"id":"', 41900000000000 + product, '","image":{{"src":"https://cdn.example/',
            product, '.jpg"}},"price":',
            '{{"amount":' || price || ',"currencyCode":"USD"}}', ',"product":{{"id":"', 7300000000000 + product,
            '","title":"Product ', product, '","type":"Type ', product % 20, '","url":"/products/product-', product,
            '","vendor":"Vendor ', product % 7, '"}},"sku":"SKU-', product, '","title":"Default Title"}}'
        ) as variant,
        concat('{{"cost":{{"totalAmount":', money, '}},"merchandise":', variant, ',"quantity":1}}') as line,
        concat(
            '{{"currencyCode":"USD","token":"', md5('t' || session), '","order":{{"id":',
            case when name = 'checkout_completed' then '"gid://shopify/OrderIdentity/' || 5400000000000 + session || '"'
                else 'null' end,
            -- Every second buyer is a known customer; one in eight of them shares an id with another browser.
            ',"customer":', case when draw // 3 % 2 = 0 then
                '{{"id":"' || (6100000000000 + case when draw // 11 % 8 = 0 then client // 2 else client end) || '"}}'
                else 'null' end,
            '}},"lineItems":[{{"title":"Product","quantity":1,"finalLinePrice":', money, ',"variant":', variant,
            '}}],"subtotalPrice":', money, ',"totalTax":{{"amount":0}},',
            '"shippingLine":{{"price":{{"amount":0}}}},"totalPrice":',
            money, '}}'
        ) as checkout
    from (
        select
            *,
            (product * 37 % 900 + 100) / 10.0 as price,
            case when step = 0 and draw % 2 = 0 then '/' else '/products/product-' || product end as page,
            case when step = 0 and draw // 5 % 10 < 2 then '?utm_source=google&utm_medium=cpc' else '' end as query,
            case when step > 0 then 'https://{shop}/' when draw // 13 % 3 = 0 then 'https://www.google.com/' else '' end
                as referrer,
            ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) '
                || 'Version/18.' || (client % 40) || ' Mobile/15E148 Safari/604.1',
             'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/'
                || (100 + client % 43) || '.0.0.0 Safari/537.36',
             'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)'
            ][case when client % 50 = 0 then 3 else 1 + client % 2 end] as user_agent
        from events
        where rowid >= $first and rowid < $last
    ) as described
) as filled
"""


def write_landing_files(
    landing: Path,
    work: Path,
    counts: list[int],
    products: int | None = None,
    assigned: Callable[[str], str] | None = None,
) -> list[list[Path]]:
    """Write events, one list of files per count, each received after all events of the previous one.

    Args:
        landing: folder for the sealed files of the first count. The others stay in `work`, for the caller to move.
        work: folder for intermediate files.
        counts: number of events per part.
        products: number of products, with sessions viewing neighbouring ones; None means 500, viewed at random.
        assigned: the variation of a unit in EXPERIMENT; None means that no session is exposed to it.
    """
    landing.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    total = sum(counts)
    database = work / "events.duckdb"
    database.unlink(missing_ok=True)
    parts = []
    with duckdb.connect(str(database)) as connection:
        connection.execute("set preserve_insertion_order = true")
        if assigned:
            connection.create_function("assigned_variation", assigned, ["VARCHAR"], "VARCHAR")
        connection.execute(
            _EVENTS.format(
                first_day=FIRST_DAY,
                per_session=EVENTS_PER_SESSION,
                per_day=EVENTS_PER_DAY,
                sessions=total // 6 + 1000,  # more than enough
                is_exposed="true" if assigned else "false",
                variation="assigned_variation(md5('u' || client))" if assigned else "''",
                product=_ANY_PRODUCT if products is None else _NEIGHBOUR.format(products=products),
            )
        )
        written = 0
        for number, count in enumerate(counts):
            folder = landing if number == 0 else work
            files = []
            while count:
                size = min(count, EVENTS_PER_FILE)
                file = folder / f"events-20260101T{written // 1_000_000:06d}.{written % 1_000_000:06d}Z-1.jsonl"
                connection.execute(
                    f"copy ({_LINES.format(shop=SHOP, experiment=EXPERIMENT)}) to '{file}' "
                    "(format csv, header false, quote '', escape '', delimiter '\x01')",
                    {"first": written, "last": written + size},
                )
                files.append(file)
                written, count = written + size, count - size
            parts.append(files)
    database.unlink()
    return parts
