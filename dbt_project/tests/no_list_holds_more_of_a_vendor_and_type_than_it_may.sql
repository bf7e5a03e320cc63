with

shown as (

    {{ every_list() }}

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
