{#- Small shared rules, in portable SQL. -#}

{% macro surrogate_key(columns) -%}
    {#-
        A text key of several non-null columns: md5 of "shop|…". The shop comes first. Bars within values are escaped:
        clients choose their ids, and different ids must not produce the same key.
    -#}
    md5(concat_ws('|'
        {%- for column in columns -%}
        , replace(replace(cast({{ column }} as {{ dbt.type_string() }}), '%', '%25'), '|', '%7C')
        {%- endfor -%}
    ))
{%- endmacro %}

{% macro whole_number(text) -%}
    {#- A quantity; null if it is not a whole number (a cast alone would round). -#}
    case
        when try_cast({{ text }} as decimal(18, 4)) = try_cast(try_cast({{ text }} as decimal(18, 4)) as integer)
            then try_cast(try_cast({{ text }} as decimal(18, 4)) as integer)
    end
{%- endmacro %}

{% macro is_built(shop) -%}
    {#- A condition on every read from a source: the shop is not put aside (orchestration/fence.py). -#}
    {{ shop }} not in (select put_aside.shop from {{ ref('stg_shops__put_aside') }} as put_aside)
{%- endmacro %}

{% macro placeholders() -%}
    {#- Placeholders that senders use for a missing id: whole texts in any letter case; zeros and negative numbers too. -#}
    {%- set words = [
        'null', 'nil', 'none', 'undefined', 'nan', 'n/?a', 'anonymous', 'guest', 'unknown', 'true', 'false', 'empty',
        'not[ _-]?set', '[(]not set[)]', '[[]object object[]]', '[{]{1,2}.*[}]{1,2}', '[0-]+', '-[0-9]+'
    ] | join('|') -%}
    '(?i)^(?:|{{ words }}|gid://[^?#]*/(?:{{ words }})?(?:[?#].*)?)$'
{%- endmacro %}

{% macro identifier(text) -%}
    {#- An identifier; null if it is a placeholder. -#}
    case when not {{ matches("trim(" ~ text ~ ")", placeholders()) }} then trim({{ text }}) end
{%- endmacro %}

{% macro shopify_id(text) -%}
    {#-
        Shopify's 64-bit ids arrive as numbers, numeric texts, gid://… with or without a query, JSON nodes, or any of
        these in base64: returns the number without leading zeros. Other texts up to 200 characters are kept as ids.
        Placeholders, 0 and texts with the prefix of a generated id are null.
    -#}
    {%- set plain = "trim(case when " ~ text ~ " like 'Z2lkOi8v%' then " ~ base64_text(text) ~ " else " ~ text ~ " end)" -%}
    coalesce(
        nullif(regexp_extract(
            {{ plain }}, '(?:^|/|"id": ?"?)0*([1-9][0-9]{0,19})(?:[.]0+)?/?(?:[?#"}].*)?$', 1
        ), ''),
        case
            when
                length({{ plain }}) <= 200
                and not {{ matches(plain, "'^(?:[[{]|handle:|checkout:|event:)'") }}
                and not {{ matches(plain, placeholders()) }}
                then coalesce(nullif(regexp_extract({{ plain }}, '^gid://[^?#]*/([^/?#]+)', 1), ''), {{ plain }})
        end
    )
{%- endmacro %}

{% macro label(text) -%}
    {#-
        A short name that a sender chooses, such as a placement. Null if it is empty or longer than 100 characters, a list
        or an object instead of a text, or *, which names totals.
    -#}
    case
        when length(trim({{ text }})) between 1 and 100 and not {{ matches("trim(" ~ text ~ ")", "'^([[{]|[*]$)'") }}
            then trim({{ text }})
    end
{%- endmacro %}

{% macro search_term(text) -%}
    {#- A search query, folded and cut at 100 characters; null if it is empty. -#}
    nullif(left({{ folded_text(text) }}, 100), '')
{%- endmacro %}

{% macro position_in_list(text) -%}
    {#- A position in a list, from 1; null if it is not a whole number, or lies beyond max_list_items. -#}
    case when {{ whole_number(text) }} between 1 and {{ var('max_list_items') }} then {{ whole_number(text) }} end
{%- endmacro %}

{% macro event_order(relation='') -%}
    {#- The order of a client's events. The page's own counter breaks ties within a millisecond. -#}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {{ return([prefix ~ 'event_at', 'coalesce(' ~ prefix ~ 'event_sequence, 0)', prefix ~ 'event_id']) }}
{%- endmacro %}

{% macro checkout_steps() -%}
    {#- The standard events of a checkout, in order. -#}
    {{ return([
        'checkout_started',
        'checkout_contact_info_submitted',
        'checkout_address_info_submitted',
        'checkout_shipping_info_submitted',
        'payment_info_submitted',
        'checkout_completed',
    ]) }}
{%- endmacro %}

{% macro standard_events() -%}
    {#- Shopify's standard events; an event of another type never counts as one, regardless of its name. -#}
    {{ return([
        'page_viewed', 'product_viewed', 'collection_viewed', 'search_submitted', 'product_added_to_cart',
        'product_removed_from_cart', 'cart_viewed', 'alert_displayed', 'ui_extension_errored'
    ] + checkout_steps()) }}
{%- endmacro %}

{% macro recommendation_events() -%}
    {#- The storefront snippet's custom events (serving/storefront/README.md), whose custom data is kept. -#}
    {{ return([
        'pixelnova:recommendation_viewed', 'pixelnova:recommendation_clicked', 'pixelnova:experiment_exposed'
    ]) }}
{%- endmacro %}

{% macro in_texts(column, texts) -%}
    {{ column }} in ('{{ texts | join("', '") }}')
{%- endmacro %}

{% macro is_shopping(event_name, page_url, page_path) -%}
    {#-
        Whether an event belongs to a session. Customer account and order status pages are not shopping, except for
        checkout events on them.
    -#}
    (
        {{ in_texts(event_name, checkout_steps()) }}
        or not (
            coalesce({{ matches(page_url, "'(?i)^https?://(?:account[.][^/?#]+|shopify[.]com/[0-9]+/(?:account|orders)(?:[/?#]|$))'") }}, false)
            or coalesce(
                {{ matches(
                    page_path,
                    "'(?i)^(?:/[a-z]{2,3}(?:-[a-z0-9]{2,4})*)?/(?:account|customer_authentication|customer_identity|[0-9]+/orders|orders)(?:/|$)'"
                ) }},
                false
            )
        )
    )
{%- endmacro %}

{% macro money(text) -%}
    {#- An amount as an exact decimal. Four places: some currencies have three, some unit prices four. -#}
    try_cast({{ text }} as decimal(18, 4))
{%- endmacro %}

{% macro amount_text(amount) -%}
    {#- An amount as shops write it: two decimals, or up to four if needed. -#}
    case
        when {{ amount }} = cast({{ amount }} as decimal(18, 2))
            then cast(cast({{ amount }} as decimal(18, 2)) as {{ dbt.type_string() }})
        when {{ amount }} = cast({{ amount }} as decimal(18, 3))
            then cast(cast({{ amount }} as decimal(18, 3)) as {{ dbt.type_string() }})
        else cast({{ amount }} as {{ dbt.type_string() }})
    end
{%- endmacro %}

{% macro total(amounts) -%}
    {#- A sum of money, wide enough for the largest amounts anyone can send: an overflow would fail every run. -#}
    cast({{ amounts }} as decimal(38, 4))
{%- endmacro %}

{% macro times(amount, quantity) -%}
    {#- Amount times quantity, wide enough for the largest values anyone can send: an overflow would fail every run. -#}
    cast({{ amount }} as decimal(28, 4)) * cast({{ quantity }} as decimal(10, 0))
{%- endmacro %}

{% macro url_host(url) -%}
    {#- The host of a web address, or the app of an android-app:// or ios-app:// one; null for any other scheme. -#}
    nullif(regexp_replace(lower(regexp_extract(
        {{ url }}, '^(?i:https?|android-app|ios-app)://(?:[^/?#@]*@)?([^/?#:@]+)', 1
    )), '[.]$', ''), '')
{%- endmacro %}

{% macro page_address(url) -%}
    {#- The host and path of a web address, without query and final slash; null if it is not one. -#}
    nullif(trim(trailing '/' from regexp_extract({{ url }}, '^https?://([^?#]+)', 1)), '')
{%- endmacro %}

{% macro is_same_site(host, of_host) -%}
    {#- The host equals the other host without www, or is a subdomain of it. -#}
    (
        {{ host }} = regexp_replace({{ of_host }}, '^www[.]', '')
        or right({{ host }}, length(regexp_replace({{ of_host }}, '^www[.]', '')) + 1)
        = concat_ws('', '.', regexp_replace({{ of_host }}, '^www[.]', ''))
    )
{%- endmacro %}

{% macro is_home_page(path) -%}
    {#- "/", or the root of a Shopify Markets language (and region) folder: /fr, /en-ca/, /zh-hans. -#}
    {{ matches(path, "'^/?$|^/(?i:[a-z]{2}|fil|ckb)([-_](?i:[a-z]{2}|hans|hant|latn|cyrl|[0-9]{3})){0,2}/?$'") }}
{%- endmacro %}

{% macro plain_medium(text) -%}
    {#- Normalizes a medium: "Paid-Social", "paid_social" and "paid social" are the same. -#}
    replace(replace(replace(lower({{ text }}), '-', ''), '_', ''), ' ', '')
{%- endmacro %}

{% macro paid(channel) -%}
    {#- The paid form of a channel; null if it has none. -#}
    case when {{ channel }} like 'organic %' or {{ channel }} like 'paid %' then replace({{ channel }}, 'organic ', 'paid ') end
{%- endmacro %}

{% macro handle_name(text) -%}
    {#- A normalized handle: URLs percent-encode its letters; files may decompose or capitalize them. -#}
    lower({{ composed_letters(url_decoded(text)) }})
{%- endmacro %}

{% macro product_handle(url) -%}
    {#- The handle in a product page's URL; null for other URLs. -#}
    {{ handle_name("nullif(regexp_extract(" ~ url ~ ", '/products/([^/?#]+)', 1), '')") }}
{%- endmacro %}

{% macro identifiers_of(events) -%}
    {#- The distinct identifiers in events: shop, identifier_kind, identifier. -#}
    {%- for kind, column in {'client': 'client_id', 'customer': 'customer_id', 'token': 'checkout_token'}.items() %}
    select
        shop,
        '{{ kind }}' as identifier_kind,
        {{ column }} as identifier
    from {{ events }}
    where {{ column }} is not null
    {{ "union" if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro wilson_lower_bound(hits, cases, z) -%}
    {#- The lower bound of the Wilson score interval of a rate (Wilson 1927). -#}
    (
        (cast({{ hits }} as double) / {{ cases }} + {{ z * z }} / (2.0 * {{ cases }}))
        - {{ z }} * sqrt(
            (cast({{ hits }} as double) / {{ cases }}) * (1 - cast({{ hits }} as double) / {{ cases }}) / {{ cases }}
            + {{ z * z }} / (4.0 * {{ cases }} * {{ cases }})
        )
    ) / (1 + {{ z * z }} / cast({{ cases }} as double))
{%- endmacro %}

{% macro smallest_unit(currency) -%}
    {#- The smallest unit of a currency (ISO 4217): the most that rounding can change a line's amount. -#}
    case
        when
            {{ currency }} in (
                'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF',
                'XPF'
            )
            then 1
        when {{ currency }} in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 0.001
        else 0.01
    end
{%- endmacro %}

{% macro every_period(unit, spans) -%}
    {#-
        One row per shop and week or month of its span, from the first to the last date; a period is named by its first
        day. `spans` has one row per shop, with first_date and last_date.
    -#}
    select distinct
        shop,
        cast({{ dbt.date_trunc(unit, 'element') }} as date) as period
    from (
        {{ numbered_elements(
            '(select shop, ' ~ dates_between('first_date', 'last_date') ~ ' as dates from ' ~ spans ~ ') as spans',
            'dates',
            ['shop']
        ) }}
    ) as dates
{%- endmacro %}
