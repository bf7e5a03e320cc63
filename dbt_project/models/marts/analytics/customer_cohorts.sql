{% set dimensions = {
    'first_product': 'first_product_id',
    'first_channel': 'first_channel',
    'landing_page': 'first_landing_path',
    'first_discount_code': 'first_discount_code',
    'first_device': 'first_device',
} %}
{% set cohort = ['shop', 'currency', 'dimension', 'dimension_value', 'cohort_month'] %}

with

people as (

    select * from {{ ref('int_customer_value') }}

),

orders as (

    select * from {{ ref('int_orders_combined') }}
    where journey_id is not null

),

losses as (

    select * from {{ ref('int_order_losses') }}
    where journey_id is not null

),

today as (

    select * from {{ ref('int_shop_today') }}

),

valued as (

    {% for dimension, column in dimensions.items() %}
        select
            *,
            '{{ dimension }}' as dimension,
            coalesce({{ column }}, 'unknown') as dimension_value
        from people
        {{ "union all" if not loop.last }}
    {% endfor %}

),

-- A value with few people is not meaningful, and products and pages have thousands of such values.
value_sizes as (

    select
        shop,
        dimension,
        dimension_value,
        count(distinct journey_id) as people
    from valued
    group by shop, dimension, dimension_value

),

members as (

    select
        valued.shop,
        valued.journey_id,
        valued.currency,
        valued.cohort_month,
        valued.net_amount is not null as is_net_known,
        valued.margin_amount is not null as is_margin_known,
        valued.dimension,
        case
            when value_sizes.people >= {{ var('cohort_min_people') }} then valued.dimension_value
            else 'other'
        end as dimension_value
    from valued
    inner join value_sizes
        on
            valued.shop = value_sizes.shop
            and valued.dimension = value_sizes.dimension
            and valued.dimension_value = value_sizes.dimension_value

    union all

    select
        shop,
        journey_id,
        currency,
        cohort_month,
        net_amount is not null as is_net_known,
        margin_amount is not null as is_margin_known,
        'all' as dimension,
        'all' as dimension_value
    from people

),

activity as (

    select
        journey_id,
        currency,
        cast({{ dbt.date_trunc('month', 'local_date') }} as date) as activity_month,
        1 as orders,
        case when is_repeat_order then 1 else 0 end as returning_orders,
        gross_amount,
        case when is_repeat_order then gross_amount else 0 end as returning_gross_amount,
        net_amount as net_by_order_date,
        case when net_amount is not null then gross_amount end as net_by_refund_date,
        margin_amount
    from orders

    union all

    select
        journey_id,
        currency,
        cast({{ dbt.date_trunc('month', 'local_date') }} as date) as activity_month,
        0 as orders,
        0 as returning_orders,
        null as gross_amount,
        null as returning_gross_amount,
        null as net_by_order_date,
        -amount as net_by_refund_date,
        null as margin_amount
    from losses

),

months as (

    select
        journey_id,
        currency,
        activity_month,
        sum(orders) as orders,
        sum(returning_orders) as returning_orders,
        sum(gross_amount) as gross_amount,
        sum(returning_gross_amount) as returning_gross_amount,
        sum(net_by_order_date) as net_by_order_date,
        sum(net_by_refund_date) as net_by_refund_date,
        sum(margin_amount) as margin_amount
    from activity
    group by journey_id, currency, activity_month

),

sizes as (

    select
        {{ cohort | join(', ') }},
        count(*) as people,
        count(*) filter (where is_net_known) as people_with_net,
        count(*) filter (where is_margin_known) as people_with_margin
    from members
    group by {{ cohort | join(', ') }}

),

-- The Admin API may know orders after the last event.
spans as (

    select
        people.shop,
        min(people.cohort_month) as first_date,
        greatest(
            max(months.activity_month),
            cast({{ dbt.date_trunc('month', 'coalesce(min(today.today), max(months.activity_month))') }} as date)
        ) as last_date
    from people
    inner join months on people.journey_id = months.journey_id and people.currency = months.currency
    left join today on people.shop = today.shop
    group by people.shop

),

calendar as (

    {{ every_period('month', 'spans') }}

),

periods as (

    select
        sizes.*,
        calendar.period as activity_month
    from sizes
    inner join calendar on sizes.shop = calendar.shop and sizes.cohort_month <= calendar.period

),

-- Net and margin are sums over the people for whom they are known.
sums as (

    select
        {% for column in cohort %}
            members.{{ column }},
        {% endfor %}
        months.activity_month,
        count(*) filter (where months.orders > 0) as ordering_people,
        cast(sum(months.orders) as bigint) as orders,
        cast(sum(months.returning_orders) as bigint) as returning_orders,
        sum(months.gross_amount) as gross_amount,
        sum(months.returning_gross_amount) as returning_gross_amount,
        sum(months.net_by_order_date) filter (where members.is_net_known) as net_by_order_date,
        sum(months.net_by_refund_date) filter (where members.is_net_known) as net_by_refund_date,
        sum(months.margin_amount) filter (where members.is_margin_known) as margin_amount
    from members
    inner join months on members.journey_id = months.journey_id and members.currency = months.currency
    group by
        {% for column in cohort %}
            members.{{ column }},
        {% endfor %}
        months.activity_month

),

filled as (

    select
        periods.*,
        coalesce(sums.ordering_people, 0) as ordering_people,
        coalesce(sums.orders, 0) as orders,
        coalesce(sums.returning_orders, 0) as returning_orders,
        coalesce(sums.gross_amount, 0) as gross_amount,
        coalesce(sums.returning_gross_amount, 0) as returning_gross_amount,
        case when periods.people_with_net > 0 then coalesce(sums.net_by_order_date, 0) end as net_by_order_date,
        case when periods.people_with_net > 0 then coalesce(sums.net_by_refund_date, 0) end as net_by_refund_date,
        case when periods.people_with_margin > 0 then coalesce(sums.margin_amount, 0) end as margin_amount
    from periods
    left join sums
        on
            periods.activity_month = sums.activity_month
            {% for column in cohort %}
                and periods.{{ column }} = sums.{{ column }}
            {% endfor %}

),

{% set so_far -%}
    over (partition by {{ cohort | join(', ') }} order by activity_month rows between unbounded preceding and current row)
{%- endset %}

cumulated as (

    select
        *,
        sum(gross_amount) {{ so_far }} as cumulative_gross,
        sum(net_by_order_date) {{ so_far }} as cumulative_net_by_order_date,
        sum(net_by_refund_date) {{ so_far }} as cumulative_net_by_refund_date,
        sum(margin_amount) {{ so_far }} as cumulative_margin
    from filled

)

select
    {{ surrogate_key([
        'cumulated.shop', 'cumulated.currency', 'cumulated.dimension', 'cumulated.dimension_value',
        'cumulated.cohort_month', 'cumulated.activity_month'
    ]) }} as customer_cohort_key,
    cumulated.shop,
    cumulated.currency,
    cumulated.dimension,
    cumulated.dimension_value,
    cumulated.cohort_month,
    {{ elapsed('month', 'cumulated.cohort_month', 'cumulated.activity_month') }} as months_since,
    coalesce(
        cumulated.activity_month < cast({{ dbt.date_trunc('month', 'today.today') }} as date), false
    ) as is_month_over,
    cumulated.people,
    cumulated.ordering_people,
    cumulated.orders,
    cumulated.returning_orders,
    {{ total('cumulated.gross_amount') }} as gross_amount,
    {{ total('cumulated.returning_gross_amount') }} as returning_gross_amount,
    {{ total('cumulated.cumulative_gross') }} as cumulative_gross_amount,
    cast(cumulated.cumulative_gross as double) / cumulated.people as gross_amount_per_person,
    cumulated.people_with_net,
    {{ total('cumulated.net_by_order_date') }} as net_amount_by_order_date,
    {{ total('cumulated.net_by_refund_date') }} as net_amount_by_refund_date,
    {{ total('cumulated.cumulative_net_by_order_date') }} as cumulative_net_amount_by_order_date,
    {{ total('cumulated.cumulative_net_by_refund_date') }} as cumulative_net_amount_by_refund_date,
    cast(cumulated.cumulative_net_by_order_date as double) / nullif(cumulated.people_with_net, 0)
        as net_amount_per_person,
    cumulated.people_with_margin,
    {{ total('cumulated.margin_amount') }} as margin_amount,
    {{ total('cumulated.cumulative_margin') }} as cumulative_margin_amount,
    cast(cumulated.cumulative_margin as double) / nullif(cumulated.people_with_margin, 0) as margin_amount_per_person
from cumulated
left join today on cumulated.shop = today.shop
