{#- The merchant's rules, with product handles and ids resolved to product ids. -#}

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

-- Exclusion applies to every handle a product ever had, because anyone can send an event with a new one.
former_names as (

    select distinct
        shop,
        {{ product_handle('url') }} as name,
        product_id
    from {{ ref('int_product_mentions') }}
    where
        shop in (
            select rules.shop
            from rules
            where rules.rule = 'exclude'
        )
        and product_id is not null
        and {{ product_handle('url') }} is not null

),

-- A handle shared by two products matches both.
names as (

    select
        shop,
        lower(product_id) as name,
        product_id
    from products

    union

    select
        shop,
        {{ handle_name('handle') }} as name,
        product_id
    from products
    where handle is not null

)

select
    rules.shop,
    rules.rule,
    rules.beside,
    rules.product,
    beside.product_id as beside_product_id,
    named.product_id,
    case when rules.rule = 'exclude' then 0 else min(rules.place) end as place
from rules
inner join names as named on rules.shop = named.shop and rules.product = named.name
left join names as beside on rules.shop = beside.shop and rules.beside = beside.name
where rules.beside is null or beside.product_id is not null
group by rules.shop, rules.rule, rules.beside, rules.product, beside.product_id, named.product_id

union

select
    rules.shop,
    rules.rule,
    rules.beside,
    rules.product,
    null as beside_product_id,
    former_names.product_id,
    0 as place
from rules
inner join former_names on rules.shop = former_names.shop and rules.product = former_names.name
where rules.rule = 'exclude'
