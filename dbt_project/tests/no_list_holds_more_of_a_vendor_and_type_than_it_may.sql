with

shown as (

    select
        shop,
        'related ' || strategy || ' ' || product_id as list,
        recommended_product_id
    from {{ ref('related_products') }}

    union all

    select
        shop,
        'page ' || product_id as list,
        recommended_product_id
    from {{ ref('product_page') }}

    union all

    select
        shop,
        strategy || ' ' || scope || ' ' || scope_value as list,
        recommended_product_id
    from {{ ref('popular_products') }}

    union all

    select
        shop,
        'session ' || session_id as list,
        recommended_product_id
    from {{ ref('next_in_session') }}

)

select
    shown.shop,
    shown.list,
    eligibility.diversity_group
from shown
inner join {{ ref('eligibility') }} as eligibility
    on shown.shop = eligibility.shop and shown.recommended_product_id = eligibility.product_id
where eligibility.diversity_group is not null
group by shown.shop, shown.list, eligibility.diversity_group
having count(*) > {{ var('max_per_vendor_and_type') }}
