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
    {#- Shopify's ids come as numbers, numeric texts or gid://…: the trailing digits, or null. -#}
    nullif(regexp_extract({{ text }}, '(?:^|/)([0-9]+)$', 1), '')
{%- endmacro %}

{% macro money(text) -%}
    {#- An amount as exact decimal. Four places: some currencies have three, some unit prices four. -#}
    try_cast({{ text }} as decimal(18, 4))
{%- endmacro %}

{% macro url_host(url) -%}
    nullif(lower(regexp_extract({{ url }}, '^[A-Za-z]+://([^/?#:]+)', 1)), '')
{%- endmacro %}

{% macro product_handle(url) -%}
    {#- The handle in the address of a product's page; null when it is no such address. -#}
    nullif(regexp_extract({{ url }}, '/products/([^/?#]+)', 1), '')
{%- endmacro %}

{% macro url_parameter(query_string, name) -%}
    nullif(regexp_extract({{ query_string }}, '[?&]{{ name }}=([^&#]*)', 1), '')
{%- endmacro %}
