with

today as (

    select * from {{ ref('int_shop_today') }}

),

purchases as (

    select * from {{ ref('int_purchases') }}
    where item_kind = 'product'

),

products as (

    select * from {{ ref('products') }}

),

journeys as (

    select journeys.*
    from {{ ref('user_journeys') }} as journeys
    inner join {{ ref('int_permissions') }} as permissions on journeys.journey_id = permissions.journey_id
    where permissions.may_be_contacted

),

-- Intervals with enough observations, of products and types that are bought repeatedly.
rhythms as (

    select * from {{ ref('reorder_intervals') }}
    where
        intervals >= {{ var('reorder_min_intervals') }}
        and repeat_rate >= {{ var('repurchase_share') }}

),

owned as (

    select
        shop,
        journey_id,
        item as product_id,
        count(*) as orders,
        max(local_date) as last_ordered_on,
        percentile_cont(0.5) within group (order by days_since_previous) as own_days
    from purchases
    group by shop, journey_id, item

),

expected as (

    select
        owned.*,
        case
            when owned.orders > {{ var('reorder_own_intervals') }} then 'person'
            when of_products.median_days is not null then 'product'
            when of_types.median_days is not null then 'product_type'
        end as basis,
        cast(ceil(greatest(
            case
                when owned.orders > {{ var('reorder_own_intervals') }} then owned.own_days
                else coalesce(of_products.median_days, of_types.median_days)
            end,
            1
        )) as integer) as expected_days
    from owned
    left join products on owned.shop = products.shop and owned.product_id = products.product_id
    left join rhythms as of_products
        on owned.shop = of_products.shop and of_products.item_kind = 'product' and owned.product_id = of_products.item
    left join rhythms as of_types
        on
            owned.shop = of_types.shop
            and of_types.item_kind = 'product_type'
            and products.product_type = of_types.item

),

dated as (

    select
        expected.*,
        cast({{ dbt.dateadd('day', 'expected.expected_days', 'expected.last_ordered_on') }} as date) as due_on,
        {{ elapsed('day', 'expected.last_ordered_on', 'today.today') }} as days_since_order,
        today.today
    from expected
    inner join today on expected.shop = today.shop
    where expected.basis is not null

)

select
    {{ surrogate_key(['dated.shop', 'dated.journey_id', 'dated.product_id']) }} as due_key,
    dated.shop,
    dated.journey_id,
    journeys.customer_id,
    dated.product_id,
    dated.orders,
    dated.last_ordered_on,
    dated.basis,
    cast(dated.expected_days as bigint) as expected_days,
    dated.due_on,
    {{ elapsed('day', 'dated.due_on', 'dated.today') }} as days_overdue
from dated
inner join journeys on dated.journey_id = journeys.journey_id
where
    dated.days_since_order >= dated.expected_days - {{ var('reorder_notice_days') }}
    and dated.days_since_order <= {{ var('reorder_lapsed_after') }} * dated.expected_days
