with

people as (

    select * from {{ ref('int_customer_value') }}

),

permissions as (

    select * from {{ ref('int_permissions') }}

)

select
    people.customer_value_key,
    people.shop,
    people.journey_id,
    people.customer_id,
    people.currency,
    people.first_ordered_at,
    people.cohort_month,
    people.days_to_first_order,
    people.first_product_id,
    people.first_discount_code,
    people.first_channel,
    people.first_landing_path,
    people.first_device,
    people.last_ordered_at,
    people.orders,
    people.orders_missed_by_pixel,
    people.returning_orders,
    people.discounted_orders,
    people.gross_amount,
    people.new_gross_amount,
    people.returning_gross_amount,
    people.last_refunded_at,
    people.refunded_amount,
    people.net_amount,
    people.new_net_amount,
    people.returning_net_amount,
    people.margin_amount,
    people.net_margin_amount
from people
inner join permissions on people.journey_id = permissions.journey_id
where permissions.may_be_profiled
