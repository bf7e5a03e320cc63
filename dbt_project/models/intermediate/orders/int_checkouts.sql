{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=["(shop, checkout_token) in (
        select
            changed.shop,
            changed.checkout_token
        from intermediate.int_events_changed_this_run as changed
        where changed.checkout_token is not null

        union

        select
            rebuilt.shop,
            rebuilt.checkout_token
        from intermediate.int_checkouts_this_run as rebuilt
    )"],
) }}
-- depends_on: {{ ref('int_days_replaced_this_run') }}

select * from {{ ref('int_checkouts_this_run') }}
