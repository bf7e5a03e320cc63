{#-
    The differences between engines, and nothing else. DuckDB is the default; another engine adds its own
    `<engine>__<macro>` here without changing any model.
-#}

{% macro json_texts(document, paths) -%}
    {#- Several fields of a JSON document as one list of texts, read in a single pass (4-5 times faster). -#}
    {{ return(adapter.dispatch('json_texts')(document, paths)) }}
{%- endmacro %}

{% macro duckdb__json_texts(document, paths) -%}
    json_extract_string({{ document }}, ['{{ paths | join("', '") }}'])
{%- endmacro %}

{% macro json_columns(texts, fields) -%}
    {#- Turns the list from json_texts for `fields.values()` into columns named by `fields.keys()`. -#}
    {{ return(adapter.dispatch('json_columns')(texts, fields)) }}
{%- endmacro %}

{% macro duckdb__json_columns(texts, fields) -%}
    {%- for name in fields %}
    {{ texts }}[{{ loop.index }}] as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro json_array(document, path) -%}
    {#- The elements of a JSON array as a list of JSON; empty or null if it is not an array. -#}
    {{ return(adapter.dispatch('json_array')(document, path)) }}
{%- endmacro %}

{% macro duckdb__json_array(document, path) -%}
    json_extract({{ document }}, '{{ path }}[*]')
{%- endmacro %}

{% macro listed_product_ids(variants) -%}
    {#- The product ids of a JSON array of Shopify's variants as a list of texts, null where a variant has none. -#}
    {{ return(adapter.dispatch('listed_product_ids')(variants)) }}
{%- endmacro %}

{% macro duckdb__listed_product_ids(variants) -%}
    {#- A path with a wildcard would leave out missing ids, and so shift the positions after them. -#}
    list_transform(
        from_json({{ variants }}, '[{"product":{"id":"VARCHAR"}}]'),
        lambda variant: {{ shopify_id("variant['product']['id']") }}
    )
{%- endmacro %}

{% macro json_part(document, path) -%}
    {#- A part of a JSON document as JSON; null if it is missing or JSON null. -#}
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

{% macro nth_element(list, number) -%}
    {#- One element of a list, numbered from 1; null if the list is shorter. -#}
    {{ return(adapter.dispatch('nth_element')(list, number)) }}
{%- endmacro %}

{% macro duckdb__nth_element(list, number) -%}
    list_extract({{ list }}, {{ number }})
{%- endmacro %}

{% macro place_in_list(list, value) -%}
    {#- The number, from 1, of the first element that equals the value; null if there is none. -#}
    {{ return(adapter.dispatch('place_in_list')(list, value)) }}
{%- endmacro %}

{% macro duckdb__place_in_list(list, value) -%}
    nullif(list_position({{ list }}, {{ value }}), 0)
{%- endmacro %}

{% macro number_of_elements(list) -%}
    {#- The number of elements of a list; null if there is no list. -#}
    {{ return(adapter.dispatch('number_of_elements')(list)) }}
{%- endmacro %}

{% macro duckdb__number_of_elements(list) -%}
    len({{ list }})
{%- endmacro %}

{% macro utc_timestamp(text) -%}
    {#- ISO 8601 text as a timestamp in UTC without time zone; null if it is not a valid time. -#}
    {{ return(adapter.dispatch('utc_timestamp')(text)) }}
{%- endmacro %}

{% macro duckdb__utc_timestamp(text) -%}
    {#- Engines also accept texts that are not ISO 8601, such as six-digit years, and fail on them later. -#}
    case
        when {{ matches(text, iso_8601_pattern()) }}
            then cast(try_cast({{ text }} as timestamptz) at time zone 'UTC' as timestamp)
    end
{%- endmacro %}

{% macro iso_8601_pattern() -%}
    '^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?:Z|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)?)?$'
{%- endmacro %}

{% macro base64_text(text) -%}
    {#- Decodes base64 text, padded or not; null if it is not valid. -#}
    {{ return(adapter.dispatch('base64_text')(text)) }}
{%- endmacro %}

{% macro duckdb__base64_text(text) -%}
    try(decode(from_base64(rpad(
        rtrim({{ text }}, '='), cast(4 * ceil(length(rtrim({{ text }}, '=')) / 4.0) as integer), '='
    ))))
{%- endmacro %}

{% macro local_time(utc_timestamp, timezone) -%}
    {#- A UTC timestamp in the shop's timezone. -#}
    {{ return(adapter.dispatch('local_time')(utc_timestamp, timezone)) }}
{%- endmacro %}

{% macro duckdb__local_time(utc_timestamp, timezone) -%}
    ((({{ utc_timestamp }}) at time zone 'UTC') at time zone {{ timezone }})
{%- endmacro %}

{% macro local_date(utc_timestamp, timezone) -%}
    {#- The date of a UTC timestamp in the shop's timezone. -#}
    {{ return(adapter.dispatch('local_date')(utc_timestamp, timezone)) }}
{%- endmacro %}

{% macro duckdb__local_date(utc_timestamp, timezone) -%}
    cast((({{ utc_timestamp }}) at time zone 'UTC') at time zone {{ timezone }} as date)
{%- endmacro %}

{% macro matches(text, pattern) -%}
    {#- Whether the pattern occurs in the text. -#}
    {{ return(adapter.dispatch('matches')(text, pattern)) }}
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_matches({{ text }}, {{ pattern }})
{%- endmacro %}

{% macro url_decoded(text) -%}
    {#- Decodes percent-encoding; returns the text unchanged if the bytes are not UTF-8. Plus signs are kept. -#}
    {{ return(adapter.dispatch('url_decoded')(text)) }}
{%- endmacro %}

{% macro duckdb__url_decoded(text) -%}
    replace(coalesce(try(url_decode({{ text }})), {{ text }}), chr(0), '')
{%- endmacro %}

{% macro composed_letters(text) -%}
    {#- Unicode NFC: a letter and its accent become one character. -#}
    {{ return(adapter.dispatch('composed_letters')(text)) }}
{%- endmacro %}

{% macro duckdb__composed_letters(text) -%}
    nfc_normalize({{ text }})
{%- endmacro %}

{% macro folded_text(text) -%}
    {#- Text without differences of case, accents and spaces: " Crème  BRÛLÉE" becomes "creme brulee". -#}
    {{ return(adapter.dispatch('folded_text')(text)) }}
{%- endmacro %}

{% macro duckdb__folded_text(text) -%}
    trim(regexp_replace(lower(strip_accents({{ text }})), '[[:space:]]+', ' ', 'g'))
{%- endmacro %}

{% macro json_text(document, path) -%}
    {#- One field of a JSON document as text. -#}
    {{ return(adapter.dispatch('json_text')(document, path)) }}
{%- endmacro %}

{% macro duckdb__json_text(document, path) -%}
    json_extract_string({{ document }}, '{{ path }}')
{%- endmacro %}

{% macro json_parts(document, paths) -%}
    {#- Several parts of a JSON document as one list of JSON, read in a single pass; null where a part is missing. -#}
    {{ return(adapter.dispatch('json_parts')(document, paths)) }}
{%- endmacro %}

{% macro duckdb__json_parts(document, paths) -%}
    json_extract({{ document }}, ['{{ paths | join("', '") }}'])
{%- endmacro %}

{% macro earliest(value, order_by) -%}
    {#- Aggregate: the first non-null value, ordered by these columns, which must not be null. -#}
    {{ return(adapter.dispatch('earliest')(value, order_by)) }}
{%- endmacro %}

{% macro duckdb__earliest(value, order_by) -%}
    min_by({{ value }}, row({{ order_by | join(', ') }}))
{%- endmacro %}

{% macro latest(value, order_by) -%}
    {#- Aggregate: the last non-null value, ordered by these columns, which must not be null. -#}
    {{ return(adapter.dispatch('latest')(value, order_by)) }}
{%- endmacro %}

{% macro duckdb__latest(value, order_by) -%}
    max_by({{ value }}, row({{ order_by | join(', ') }}))
{%- endmacro %}

{% macro last_known(value) -%}
    {#- Window function: the last non-null value so far; add `over (…)`. -#}
    {{ return(adapter.dispatch('last_known')(value)) }}
{%- endmacro %}

{% macro duckdb__last_known(value) -%}
    last_value({{ value }} ignore nulls)
{%- endmacro %}

{% macro joined_texts(value, separator, order_by) -%}
    {#- Aggregate: joins the values in this order. -#}
    {{ return(adapter.dispatch('joined_texts')(value, separator, order_by)) }}
{%- endmacro %}

{% macro duckdb__joined_texts(value, separator, order_by) -%}
    string_agg({{ value }}, '{{ separator }}' order by {{ order_by | join(', ') }})
{%- endmacro %}

{% macro with_connected_components(ctes, nodes, links) -%}
    {#-
        Begins a query: the text of its first CTEs, then the CTE `labels`. It has one row per node of the CTE `nodes`
        (node), with the smallest node connected to it (component) through `links` (from_node, to_node; each in both
        directions).
    -#}
    {{ return(adapter.dispatch('with_connected_components')(ctes, nodes, links)) }}
{%- endmacro %}

{% macro duckdb__with_connected_components(ctes, nodes, links) -%}
with recursive

{{ ctes }},

    labels (node, component) using key (node) as (

        select
            node,
            node as component
        from {{ nodes }}

        union

        -- Propagates smaller labels to the neighbours.
        select
            links.to_node as node,
            min(labels.component) as component
        from labels
        inner join {{ links }} as links on labels.node = links.from_node
        inner join recurring.labels as known on links.to_node = known.node and labels.component < known.component
        group by links.to_node

    )
{%- endmacro %}

{% macro with_nearest_owners(ctes, nodes, links) -%}
    {#-
        Begins a query: the text of its first CTEs, then the CTE `owners`. The nodes of the CTE `nodes` (node) own
        themselves, in 0 steps. A node reached through `links` (from_node, to_node, last_linked_at, last_event_id) gets the
        owner of the node that reaches it in the fewest steps, then by the latest link, then by the smallest node.
    -#}
    {{ return(adapter.dispatch('with_nearest_owners')(ctes, nodes, links)) }}
{%- endmacro %}

{% macro duckdb__with_nearest_owners(ctes, nodes, links) -%}
with recursive

{{ ctes }},

    owners (node, owner, steps) using key (node) as (

        select
            node,
            node as owner,
            0 as steps
        from {{ nodes }}

        union

        select
            reached.node,
            reached.owner,
            reached.steps
        from (
            select
                links.to_node as node,
                owners.owner,
                owners.steps + 1 as steps,
                row_number() over (
                    partition by links.to_node
                    order by links.last_linked_at desc, links.last_event_id desc, owners.node
                ) as owner_rank
            from owners
            inner join {{ links }} as links on owners.node = links.from_node
            left join recurring.owners as known on links.to_node = known.node
            where known.node is null
        ) as reached
        where reached.owner_rank = 1

    )
{%- endmacro %}

{% macro fnv1a32(text) -%}
    {#- The 32-bit FNV-1a hash of ASCII text as a number. -#}
    {{ return(adapter.dispatch('fnv1a32')(text)) }}
{%- endmacro %}

{% macro duckdb__fnv1a32(text) -%}
    list_reduce(
        list_transform(string_split({{ text }}, ''), lambda letter: cast(ascii(letter) as ubigint)),
        lambda hash, letter: (xor(hash, letter) * 16777619) % 4294967296,
        cast(2166136261 as ubigint)
    )
{%- endmacro %}

{% macro split_text(text, separator) -%}
    {#- The parts of a text as a list. -#}
    {{ return(adapter.dispatch('split_text')(text, separator)) }}
{%- endmacro %}

{% macro duckdb__split_text(text, separator) -%}
    string_split({{ text }}, '{{ separator }}')
{%- endmacro %}

{% macro dates_between(first, last) -%}
    {#- A list of the dates from first to last, inclusive. -#}
    {{ return(adapter.dispatch('dates_between')(first, last)) }}
{%- endmacro %}

{% macro duckdb__dates_between(first, last) -%}
    cast(generate_series({{ first }}, {{ last }}, interval '1' day) as date[])
{%- endmacro %}

{% macro elapsed(unit, since, until) -%}
    {#- The number of second, day or month boundaries between two times. -#}
    {{ return(adapter.dispatch('elapsed')(unit, since, until)) }}
{%- endmacro %}

{% macro duckdb__elapsed(unit, since, until) -%}
    date_diff('{{ unit }}', {{ since }}, {{ until }})
{%- endmacro %}

{% macro rounded(number, places) -%}
    {#- Rounds a double: half away from zero, after multiplying by a power of ten. -#}
    {{ return(adapter.dispatch('rounded')(number, places)) }}
{%- endmacro %}

{% macro duckdb__rounded(number, places) -%}
    round({{ number }}, {{ places }})
{%- endmacro %}

{% macro exact(number, precision=18, scale=9) -%}
    {#- A double as a decimal, rounded in the same way. Sums of decimals do not depend on the order of rows. -#}
    {{ return(adapter.dispatch('exact')(number, precision, scale)) }}
{%- endmacro %}

{% macro duckdb__exact(number, precision, scale) -%}
    cast({{ number }} as decimal({{ precision }}, {{ scale }}))
{%- endmacro %}

{% macro create_declared(relation, columns, description) -%}
    {#- A statement that creates a table, if it does not exist, with the columns and comments declared in a yml. -#}
    {{ return(adapter.dispatch('create_declared')(relation, columns, description)) }}
{%- endmacro %}

{% macro duckdb__create_declared(relation, columns, description) -%}
    create table if not exists {{ relation }} (
        {%- for column in columns %}{{ column.name }} {{ column.data_type }}{{ ", " if not loop.last }}{% endfor -%}
    );
    comment on table {{ relation }} is {{ duckdb_escape_comment(description) }};
    {%- for column in columns %}
    comment on column {{ relation }}.{{ column.name }} is {{ duckdb_escape_comment(column.description) }};
    {%- endfor %}
{%- endmacro %}
