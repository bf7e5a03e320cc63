{#- The merchant's rules with the ids of the products that they name by handle or by id. -#}

with

rules as (

    select * from {{ ref('stg_shops__recommendation_rules') }}

),

products as (

    select
        shop,
        product_id,
        handle
    from {{ ref('products') }}

),

-- A handle that two products had names both.
names as (

    select
        shop,
        product_id as name,
        product_id
    from products

    union

    select
        shop,
        handle as name,
        product_id
    from products
    where handle is not null

)

select
    rules.shop,
    rules.rule,
    beside.product_id as beside_product_id,
    named.product_id,
    min(rules.place) as place
from rules
inner join names as named on rules.shop = named.shop and rules.product = named.name
left join names as beside on rules.shop = beside.shop and rules.beside = beside.name
where rules.beside is null or beside.product_id is not null
group by rules.shop, rules.rule, beside.product_id, named.product_id
