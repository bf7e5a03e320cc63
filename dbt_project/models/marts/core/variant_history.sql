{#-
    A slowly changing dimension (type 2), built from the log of answers. If a price changed twice between two answers,
    only the last value is known.
-#}

with

answers as (

    select * from {{ ref('base_shopify__variants') }}

),

variants as (

    select * from {{ ref('stg_shopify__variants') }}

),

shops as (

    select * from {{ ref('shops') }}

),

-- One answer may contain a variant several times: the newest version counts.
ranked_answers as (

    select
        *,
        row_number() over (partition by shop, variant_id, fetched_at order by updated_at desc) as age_rank
    from answers

),

compared as (

    select
        *,
        lag(fetched_at) over (partition by shop, variant_id order by fetched_at) as previous_fetched_at,
        lag(price) over (partition by shop, variant_id order by fetched_at) as price_before,
        lag(compare_at_price) over (partition by shop, variant_id order by fetched_at) as compare_at_price_before,
        lag(is_available) over (partition by shop, variant_id order by fetched_at) as is_available_before
    from ranked_answers
    where age_rank = 1

),

-- A change happened after the previous answer, and at the latest at Shopify's own time of the change. Values before the
-- first answer are unknown.
changes as (

    select
        shop,
        variant_id,
        product_id,
        fetched_at,
        price,
        compare_at_price,
        is_available,
        case
            when previous_fetched_at is null then least(coalesce(updated_at, fetched_at), fetched_at)
            else greatest(previous_fetched_at, least(coalesce(updated_at, fetched_at), fetched_at))
        end as valid_from
    from compared
    where
        previous_fetched_at is null
        or price is distinct from price_before
        or compare_at_price is distinct from compare_at_price_before
        or is_available is distinct from is_available_before

),

periods as (

    select
        *,
        lead(valid_from) over (partition by shop, variant_id order by valid_from, fetched_at) as next_valid_from
    from changes

)

select
    {{ surrogate_key(['periods.shop', 'periods.variant_id', 'periods.valid_from']) }} as variant_period_key,
    periods.shop,
    periods.variant_id,
    periods.product_id,
    periods.price,
    periods.compare_at_price,
    shops.currency,
    periods.is_available,
    periods.valid_from,
    coalesce(
        periods.next_valid_from,
        case when variants.is_deleted then greatest(variants.deleted_at, periods.valid_from) end
    ) as valid_to
from periods
left join variants on periods.shop = variants.shop and periods.variant_id = variants.variant_id
left join shops on periods.shop = shops.shop
where periods.next_valid_from is null or periods.next_valid_from > periods.valid_from
