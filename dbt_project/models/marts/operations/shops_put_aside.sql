{{ config(materialized='view') }}

select
    shop,
    reason,
    put_aside_at
from {{ ref('stg_shops__put_aside') }}
