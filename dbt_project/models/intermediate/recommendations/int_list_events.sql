{#-
    Views of lists and clicks in them: the storefront snippet's events, and clicks on Shopify's own recommendations,
    which the URLs of the opened pages show. Nothing is kept where analytics was refused.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key='event_key',
    incremental_predicates=[rows_of_this_run('event_key', 'int_events_changed_this_run')],
) }}
-- depends_on: {{ ref('int_events_changed_this_run') }}

{% set event_columns = [
    'event_key', 'shop', 'event_id', 'event_at', 'local_date', 'client_id', 'session_id'
] %}
{% set list_fields = {
    'stated_request_id': '$.request_id',
    'stated_placement': '$.placement',
    'stated_seed': '$.seed_product_id',
    'stated_model_version': '$.model_version',
    'stated_version': '$.version',
    'stated_product': '$.product_id',
    'stated_strategy': '$.strategy',
    'stated_position': '$.position',
} %}
{#- https://shopify.dev/docs/storefronts/themes/product-merchandising/recommendations -#}
{% set native_fields = {
    'stated_request_id': 'pr_rec_id',
    'stated_seed': 'pr_ref_pid',
    'stated_product': 'pr_rec_pid',
    'stated_strategy': 'pr_prod_strat',
    'stated_version': 'pr_seq',
} %}

with

events as (

    select * from {{ events_rebuilt_this_run() }}
    where coalesce(is_analytics_allowed, true)

),

sent as (

    select
        *,
        {{ json_texts('recommendation_data', list_fields.values() | list) }} as texts
    from events
    where event_name in ('pixelnova:recommendation_viewed', 'pixelnova:recommendation_clicked')

),

opened as (

    select
        *,
        concat_ws('', coalesce(page_query, ''), '&', coalesce(page_url, '')) as query
    from events
    where event_name = 'page_viewed' and (page_query like '%pr_rec_id=%' or page_url like '%pr_rec_id=%')

),

named as (

    select
        {{ event_columns | join(', ') }},
        {{ json_columns('texts', list_fields) }},
        'pixelnova' as source,
        event_name = 'pixelnova:recommendation_clicked' as is_click
    from sent

    union all

    select
        {{ event_columns | join(', ') }},
        {% for name in list_fields %}
            {% if name == 'stated_placement' %}
                'shopify' as stated_placement,
            {% elif name in native_fields %}
                {{ url_decoded(
                    "nullif(regexp_extract(query, '[?&;]" ~ native_fields[name] ~ "=([^&#;]*)', 1), '')"
                ) }} as {{ name }},
            {% else %}
                null as {{ name }},
            {% endif %}
        {% endfor %}
        'shopify' as source,
        true as is_click
    from opened

)

select
    {{ event_columns | join(',
    ') }},
    source,
    is_click,
    {{ label(identifier('stated_request_id')) }} as request_id,
    coalesce({{ label('stated_placement') }}, 'unknown') as placement,
    {{ shopify_id('stated_seed') }} as seed_product_id,
    {{ label('stated_model_version') }} as model_version,
    {{ label('stated_version') }} as version,
    {{ shopify_id('stated_product') }} as product_id,
    case when is_click then coalesce({{ label('stated_strategy') }}, 'unknown') end as strategy,
    cast({{ position_in_list('stated_position') }} as bigint) as position
from named
