{#- The project's own small rules, in SQL that every engine understands. -#}

{% macro surrogate_key(columns) -%}
    {#-
        One text key of several columns, none of them null: md5 of "shop|…". The shop comes first. A bar within a value
        is escaped: clients choose their ids, and two of them must not be able to make one key.
    -#}
    md5(concat_ws('|'
        {%- for column in columns -%}
        , replace(replace(cast({{ column }} as {{ dbt.type_string() }}), '%', '%25'), '|', '%7C')
        {%- endfor -%}
    ))
{%- endmacro %}

{% macro whole_number(text) -%}
    {#- A quantity; null when it is no whole number (a cast alone would round). -#}
    case
        when try_cast({{ text }} as decimal(18, 4)) = try_cast({{ text }} as integer) then try_cast({{ text }} as integer)
    end
{%- endmacro %}

{% macro shopify_id(text) -%}
    {#- Shopify's ids (of 64 bits) come as numbers, numeric texts or gid://…: the trailing digits, or null. -#}
    nullif(regexp_extract({{ text }}, '(?:^|/)([0-9]{1,20})$', 1), '')
{%- endmacro %}

{% macro money(text) -%}
    {#- An amount as exact decimal. Four places: some currencies have three, some unit prices four. -#}
    try_cast({{ text }} as decimal(18, 4))
{%- endmacro %}

{% macro times(amount, quantity) -%}
    {#- A product with room: anybody may send the largest of both, and an overflow would stop every run. -#}
    cast({{ amount }} as decimal(28, 4)) * cast({{ quantity }} as decimal(10, 0))
{%- endmacro %}

{% macro url_host(url) -%}
    nullif(lower(regexp_extract({{ url }}, '^[A-Za-z]+://([^/?#:]+)', 1)), '')
{%- endmacro %}

{% macro handle_name(text) -%}
    {#- One spelling of a handle: addresses encode its letters, files may decompose or capitalise them. -#}
    lower({{ composed_letters(url_decoded(text)) }})
{%- endmacro %}

{% macro product_handle(url) -%}
    {#- The handle in the address of a product's page; null for every other address. -#}
    {{ handle_name("nullif(regexp_extract(" ~ url ~ ", '/products/([^/?#]+)', 1), '')") }}
{%- endmacro %}

{% macro url_parameter(query_string, name) -%}
    nullif(regexp_extract({{ query_string }}, '[?&]{{ name }}=([^&#]*)', 1), '')
{%- endmacro %}

{% macro identifiers_of(events) -%}
    {#- The identifiers that events carry, each once: shop, identifier_kind, identifier. -#}
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
    {#- The lower end of the Wilson score interval of a rate (Wilson 1927): what it is at least, at this confidence. -#}
    (
        (cast({{ hits }} as double) / {{ cases }} + {{ z * z }} / (2.0 * {{ cases }}))
        - {{ z }} * sqrt(
            (cast({{ hits }} as double) / {{ cases }}) * (1 - cast({{ hits }} as double) / {{ cases }}) / {{ cases }}
            + {{ z * z }} / (4.0 * {{ cases }} * {{ cases }})
        )
    ) / (1 + {{ z * z }} / cast({{ cases }} as double))
{%- endmacro %}
