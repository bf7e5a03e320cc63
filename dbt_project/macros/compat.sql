{#-
    What differs between engines, and nothing else. DuckDB is the default; another engine gets its own
    `<engine>__<macro>` here, and no model changes.
-#}

{% macro json_texts(document, paths) -%}
    {#- Several fields of a JSON document as one list of texts: read in one pass, which is 4-5 times faster. -#}
    {{ return(adapter.dispatch('json_texts')(document, paths)) }}
{%- endmacro %}

{% macro duckdb__json_texts(document, paths) -%}
    json_extract_string({{ document }}, ['{{ paths | join("', '") }}'])
{%- endmacro %}

{% macro json_columns(texts, fields) -%}
    {#- The list that json_texts gave for `fields.values()`, as columns named by `fields.keys()`. -#}
    {{ return(adapter.dispatch('json_columns')(texts, fields)) }}
{%- endmacro %}

{% macro duckdb__json_columns(texts, fields) -%}
    {%- for name in fields %}
    {{ texts }}[{{ loop.index }}] as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro json_array(document, path) -%}
    {#- The elements of a JSON array as a list of JSON; empty or null when there is no array. -#}
    {{ return(adapter.dispatch('json_array')(document, path)) }}
{%- endmacro %}

{% macro duckdb__json_array(document, path) -%}
    json_extract({{ document }}, '{{ path }}[*]')
{%- endmacro %}

{% macro json_part(document, path) -%}
    {#- A part of a JSON document as JSON; null when there is none, or when it is JSON's null. -#}
    {{ return(adapter.dispatch('json_part')(document, path)) }}
{%- endmacro %}

{% macro duckdb__json_part(document, path) -%}
    nullif(json_extract({{ document }}, '{{ path }}'), 'null')
{%- endmacro %}

{% macro numbered_elements(relation, list, columns) -%}
    {#- One row per element of a list column: `columns` of the relation, then element_number (from 1) and element. -#}
    {{ return(adapter.dispatch('numbered_elements')(relation, list, columns)) }}
{%- endmacro %}

{% macro duckdb__numbered_elements(relation, list, columns) -%}
    select
        {{ columns | join(', ') }},
        generate_subscripts({{ list }}, 1) as element_number,
        unnest({{ list }}) as element
    from {{ relation }}
{%- endmacro %}

{% macro utc_timestamp(text) -%}
    {#- ISO 8601 text as a timestamp in UTC, without a time zone; null when it is no time. -#}
    {{ return(adapter.dispatch('utc_timestamp')(text)) }}
{%- endmacro %}

{% macro duckdb__utc_timestamp(text) -%}
    cast(try_cast({{ text }} as timestamptz) at time zone 'UTC' as timestamp)
{%- endmacro %}

{% macro local_date(utc_timestamp, timezone) -%}
    {#- The date that the shop's clock showed at a moment in UTC. -#}
    {{ return(adapter.dispatch('local_date')(utc_timestamp, timezone)) }}
{%- endmacro %}

{% macro duckdb__local_date(utc_timestamp, timezone) -%}
    cast(({{ utc_timestamp }} at time zone 'UTC') at time zone {{ timezone }} as date)
{%- endmacro %}

{% macro matches(text, pattern) -%}
    {#- The pattern occurs in the text. -#}
    {{ return(adapter.dispatch('matches')(text, pattern)) }}
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_matches({{ text }}, {{ pattern }})
{%- endmacro %}

{% macro json_text(document, path) -%}
    {#- One field of a JSON document as text. -#}
    {{ return(adapter.dispatch('json_text')(document, path)) }}
{%- endmacro %}

{% macro duckdb__json_text(document, path) -%}
    json_extract_string({{ document }}, '{{ path }}')
{%- endmacro %}
