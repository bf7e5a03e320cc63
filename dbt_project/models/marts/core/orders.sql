-- depends_on: {{ ref('int_days_replaced_this_run') }}

select * from {{ ref('int_orders') }}
