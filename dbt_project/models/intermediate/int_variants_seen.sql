{#- What events say of variants: of each attribute the newest value that is known. -#}

with

views as (

    select * from {{ ref('int_product_views') }}

),

order_lines as (

    select * from {{ ref('int_order_lines') }}

),

mentions as (

    select
        shop,
        variant_id,
        product_id,
        sku,
        cast(null as {{ dbt.type_string() }}) as title,
        price,
        currency,
        event_at,
        event_key,
        0 as line_number
    from views

    union all

    select
        shop,
        variant_id,
        product_id,
        sku,
        variant_title as title,
        unit_price as price,
        currency,
        ordered_at as event_at,
        event_key,
        line_number
    from order_lines

),

numbered as (

    select
        *,
        row_number() over (
            partition by shop, variant_id
            order by event_at, event_key, line_number
        ) as recency
    from mentions
    where variant_id is not null and product_id is not null

)

select
    shop,
    variant_id,
    max(event_at) as last_seen_at,
    max_by(product_id, recency) as product_id,
    max_by(sku, recency) filter (where sku is not null) as sku,
    max_by(title, recency) filter (where title is not null) as title,
    max_by(price, recency) filter (where price is not null and currency is not null) as price,
    max_by(currency, recency) filter (where price is not null and currency is not null) as currency
from numbered
group by shop, variant_id
