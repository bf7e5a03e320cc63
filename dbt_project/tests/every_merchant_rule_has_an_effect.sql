-- A typo in shops.toml must not fail a refresh, so this only warns; the status column explains the problem.
{{ config(severity='warn') }}

select
    shop,
    rule,
    beside,
    product,
    status
from {{ ref('merchant_rules') }}
where status <> 'in force'
