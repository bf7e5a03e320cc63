with

products as (

    select * from {{ ref('products') }}

),

excluded as (

    select distinct
        shop,
        product_id
    from {{ ref('int_recommendation_rules') }}
    where rule = 'exclude'

),

riders as (

    select * from {{ ref('int_order_riders') }}

),

-- If a complete catalogue was read, products known only from events are not in it.
catalogue_shops as (

    select shop
    from {{ ref('int_catalogue_shops') }}
    where complete_source is not null

),

judged as (

    select
        products.shop,
        products.product_id,
        products.vendor,
        products.product_type,
        products.price_min,
        case
            when products.is_deleted then 'deleted'
            when not products.is_published then 'not published'
            when not products.is_available then 'out of stock'
            when products.source = 'events' and catalogue_shops.shop is not null then 'not in the catalogue'
            when coalesce(trim(products.title), '') = '' then 'without a title'
            when
                products.is_gift_card
                or {{ names_gift_card('products.product_type') }}
                or {{ names_gift_card('products.title') }}
                or {{ names_gift_card('products.handle') }}
                or {{ tagged_gift_card('products.tags') }}
                then 'gift card'
            when
                {{ names_fee_or_protection('products.product_type') }}
                or {{ names_fee_or_protection('products.title') }}
                or {{ names_fee_or_protection('products.handle') }}
                or {{ tagged_fee_or_protection('products.tags') }}
                then 'fee or protection'
            when riders.product_id is not null then 'in most orders and viewed by nobody'
            when
                lower(trim(products.product_type)) in ('sample', 'samples')
                or lower(products.tags) like '%"sample"%'
                or lower(products.tags) like '%"samples"%'
                or products.price_max <= 0
                then 'sample'
            when excluded.product_id is not null then 'excluded by the merchant'
        end as reason
    from products
    left join excluded on products.shop = excluded.shop and products.product_id = excluded.product_id
    left join riders on products.shop = riders.shop and products.product_id = riders.product_id
    left join catalogue_shops on products.shop = catalogue_shops.shop

),

grouped as (

    select
        *,
        vendor || ' | ' || product_type as diversity_group
    from judged

),

-- If all eligible products are in one group, there is nothing to diversify.
groups_per_shop as (

    select
        shop,
        count(distinct coalesce(diversity_group, '')) as groups
    from grouped
    where reason is null
    group by shop

)

select
    grouped.shop,
    grouped.product_id,
    grouped.reason is null as is_eligible,
    grouped.reason as ineligible_reason,
    case when groups_per_shop.groups > 1 then grouped.diversity_group end as diversity_group,
    grouped.price_min,
    -- Numbers replace long texts where millions of rows are sorted. They have no meaning and change with products.
    row_number() over (order by grouped.shop, grouped.product_id) as product_number,
    case
        when groups_per_shop.groups > 1 and grouped.diversity_group is not null
            then dense_rank() over (order by grouped.shop, grouped.diversity_group)
    end as diversity_number
from grouped
left join groups_per_shop on grouped.shop = groups_per_shop.shop
