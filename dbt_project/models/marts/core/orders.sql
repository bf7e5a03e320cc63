-- depends_on: {{ ref('int_touched_days') }}

select * from {{ ref('int_orders') }}
