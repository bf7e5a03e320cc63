{#- What is measured in experiments. -#}

{% macro experiment_metrics() -%}
    {#-
        By metric: numerator and denominator of a unit (columns of experiments.unit_metrics; without a denominator, a
        mean over units), and whether it is also reported with a cap.
    -#}
    {{ return({
        'conversion': {'numerator': 'buyers', 'denominator': none, 'has_cap': false},
        'revenue_per_visitor': {'numerator': 'sales', 'denominator': none, 'has_cap': true},
        'net_revenue_per_visitor': {'numerator': 'net_sales', 'denominator': none, 'has_cap': true},
        'average_order_value': {'numerator': 'sales', 'denominator': 'orders', 'has_cap': true},
        'units_per_order': {'numerator': 'units_bought', 'denominator': 'orders', 'has_cap': true},
        'refund_rate': {'numerator': 'refunds', 'denominator': 'sales', 'has_cap': false},
        'add_to_cart_rate': {'numerator': 'adders', 'denominator': none, 'has_cap': false},
        'click_through': {'numerator': 'clicks', 'denominator': 'impressions', 'has_cap': true},
    }) }}
{%- endmacro %}

{% macro unit_value(amount) -%}
    {#-
        An amount or count of one unit, in hundredths and clamped, so that sums of products are exact decimals for any
        input.
    -#}
    cast(least(greatest({{ amount }}, -9999999999999), 9999999999999) as decimal(15, 2))
{%- endmacro %}

{% macro browser(user_agent) -%}
    {#- The browser family, to see in which one a script fails. -#}
    case
        when {{ user_agent }} like '%FBAN%' or {{ user_agent }} like '%Instagram%' or {{ user_agent }} like '%TikTok%'
            then 'in-app'
        when {{ user_agent }} like '%Edg%' then 'Edge'
        when {{ user_agent }} like '%OPR/%' then 'Opera'
        when {{ user_agent }} like '%SamsungBrowser%' then 'Samsung'
        when {{ user_agent }} like '%Firefox%' or {{ user_agent }} like '%FxiOS%' then 'Firefox'
        when {{ user_agent }} like '%Chrome%' or {{ user_agent }} like '%CriOS%' then 'Chrome'
        when {{ user_agent }} like '%Safari%' then 'Safari'
        else 'other'
    end
{%- endmacro %}

{% macro landing_kind(path) -%}
    {#- The kind of page a visit began on. -#}
    case
        when {{ path }} is null then 'unknown'
        when {{ is_home_page(path) }} then 'home'
        when {{ path }} like '%/products/%' then 'product'
        when {{ path }} like '%/collections%' then 'collection'
        else 'other'
    end
{%- endmacro %}

{% macro rfm_segment(recency_score, frequency_score, orders) -%}
    {#- The segment for a customer's scores (1 to 5, 5 is best). -#}
    case
        when {{ recency_score }} >= 4 and {{ frequency_score }} >= 4 then 'champion'
        when {{ frequency_score }} >= 4 and {{ recency_score }} >= 2 then 'loyal'
        when {{ frequency_score }} >= 4 then 'cannot lose'
        when {{ recency_score }} >= 4 and {{ orders }} = 1 then 'new'
        when {{ recency_score }} >= 3 then 'promising'
        when {{ recency_score }} = 2 then 'at risk'
        else 'lost'
    end
{%- endmacro %}
