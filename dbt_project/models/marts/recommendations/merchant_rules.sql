with

-- A rule may appear in the file twice.
rules as (

    select
        shop,
        rule,
        beside,
        product,
        min(place) as place
    from {{ ref('stg_shops__recommendation_rules') }}
    group by shop, rule, beside, product

),

meant as (

    select
        meant.shop,
        meant.rule,
        meant.beside,
        meant.product,
        count(distinct meant.product_id) as products,
        min(meant.product_id) as product_id,
        max(case when eligibility.is_eligible then 1 else 0 end) = 1 as may_be_shown,
        min(eligibility.ineligible_reason) as ineligible_reason
    from {{ ref('int_recommendation_rules') }} as meant
    inner join {{ ref('eligibility') }} as eligibility
        on meant.shop = eligibility.shop and meant.product_id = eligibility.product_id
    group by meant.shop, meant.rule, meant.beside, meant.product

)

select
    rules.shop,
    rules.rule,
    rules.beside,
    rules.product,
    rules.place,
    meant.product_id,
    coalesce(meant.products, 0) as products,
    case
        when meant.product_id is null then 'names nothing'
        when rules.rule = 'pin' and not meant.may_be_shown then 'not shown: ' || meant.ineligible_reason
        else 'in force'
    end as status
from rules
left join meant
    on
        rules.shop = meant.shop
        and rules.rule = meant.rule
        and rules.product = meant.product
        and coalesce(rules.beside, '') = coalesce(meant.beside, '')
