{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    incremental_predicates=["(shop, checkout_token) in (
        select
            touched.shop,
            touched.checkout_token
        from intermediate.int_touched_events as touched
        where touched.checkout_token is not null

        union

        select
            touched.shop,
            touched.checkout_token
        from intermediate.int_checkouts_touched as touched
    )"],
) }}
-- depends_on: {{ ref('int_touched_days') }}

select * from {{ ref('int_checkouts_touched') }}
