{#-
    What differs on Apache Spark 3.5: the bodies of the macros in compat.sql for `--target spark`. docs/scale-out.md
    lists the few texts and numbers for which the results differ from DuckDB's.
-#}

{% macro spark__json_texts(document, paths) -%}
    {#-
        One pass over the document; get_json_object needs one for each path. from_json would read an array as its first
        element. The lambda keeps Spark from parsing the document again for each field.
    -#}
    {%- set fields = [] -%}
    {%- for path in paths -%}
        {%- do fields.append(path.removeprefix('$.')) -%}
    {%- endfor -%}
    case
        when left({{ document }}, 1) = '{'
            then transform(
                array(from_json({{ document }}, '{{ struct_of_texts(fields) }}')),
                parsed -> array(parsed.{{ fields | join(', parsed.') }})
            )[0]
    end
{%- endmacro %}

{% macro struct_of_texts(fields) -%}
    {#- The type of a struct with these fields, such as context.document.title. -#}
    {%- set children = {} -%}
    {%- for field in fields -%}
        {%- set key, _, rest = field.partition('.') -%}
        {%- do children.setdefault(key, []).append(rest) -%}
    {%- endfor -%}
    struct<
        {%- for key, rests in children.items() -%}
            {{ key }}:{{ 'string' if rests == [''] else struct_of_texts(rests) }}{{ ', ' if not loop.last }}
        {%- endfor -%}
    >
{%- endmacro %}

{% macro spark__json_columns(texts, fields) -%}
    {%- for name in fields %}
    {{ texts }}[{{ loop.index0 }}] as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro spark__json_array(document, path) -%}
    from_json(get_json_object({{ document }}, '{{ path }}'), 'array<string>')
{%- endmacro %}

{% macro spark__listed_product_ids(variants) -%}
    transform(
        from_json({{ variants }}, 'array<struct<product:struct<id:string>>>'),
        variant -> {{ shopify_id('variant.product.id') }}
    )
{%- endmacro %}

{% macro spark__json_part(document, path) -%}
    get_json_object({{ document }}, '{{ path }}')
{%- endmacro %}

{% macro spark__json_parts(document, paths) -%}
    {#- A map tells a missing part, which is null, from JSON null, which is the text null. -#}
    {%- set parts = [] -%}
    {%- for path in paths -%}
        {%- set parent, _, key = path.removeprefix('$.').rpartition('.') -%}
        {%- set keys = 'map_keys(parsed.' ~ parent ~ ')' if parent else 'json_object_keys(' ~ document ~ ')' -%}
        {%- set part = "try_element_at(parsed." ~ parent ~ ", '" ~ key ~ "')" if parent else 'parsed.' ~ key -%}
        {%- do parts.append(
            'coalesce(' ~ part ~ ', case when array_contains(' ~ keys ~ ", '" ~ key ~ "') then 'null' end)"
        ) -%}
    {%- endfor -%}
    {%- set types = {} -%}
    {%- for path in paths -%}
        {%- set key, _, rest = path.removeprefix('$.').partition('.') -%}
        {%- do types.update({key: 'map<string, string>' if rest else 'string'}) -%}
    {%- endfor -%}
    case
        when left({{ document }}, 1) = '{'
            then transform(
                array(from_json({{ document }}, 'struct<
                    {%- for key, type in types.items() %}{{ key }}:{{ type }}{{ ', ' if not loop.last }}{% endfor -%}
                >')),
                parsed -> array(
                    {{ parts | join(',
                    ') }}
                )
            )[0]
    end
{%- endmacro %}

{% macro spark__json_text(document, path) -%}
    {#- The elements of json_array are texts already. -#}
    {{ document if path == '$' else "get_json_object(" ~ document ~ ", '" ~ path ~ "')" }}
{%- endmacro %}

{% macro spark__numbered_elements(relation, list, columns) -%}
    select
        {{ columns | join(', ') }},
        cast(exploded.place + 1 as bigint) as element_number,
        exploded.element
    from {{ relation }}
    lateral view posexplode({{ list }}) exploded as place, element
{%- endmacro %}

{% macro spark__nth_element(list, number) -%}
    try_element_at({{ list }}, cast({{ number }} as integer))
{%- endmacro %}

{% macro spark__place_in_list(list, value) -%}
    nullif(array_position({{ list }}, {{ value }}), 0)
{%- endmacro %}

{% macro spark__number_of_elements(list) -%}
    array_size({{ list }})
{%- endmacro %}

{% macro spark__utc_timestamp(text) -%}
    case when {{ matches(text, iso_8601_pattern()) }} then try_cast({{ text }} as timestamp) end
{%- endmacro %}

{% macro spark__base64_text(text) -%}
    {#- unbase64 needs no padding, but fails on a lone last letter. Bytes that are not UTF-8 become U+FFFD. -#}
    case
        when {{ text }} rlike '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,3})?=*$'
            then nullif(regexp_extract(decode(unbase64({{ text }}), 'UTF-8'), '^([^\\uFFFD]*)$', 1), '')
    end
{%- endmacro %}

{% macro spark__local_time(utc_timestamp, timezone) -%}
    from_utc_timestamp({{ utc_timestamp }}, {{ timezone }})
{%- endmacro %}

{% macro spark__local_date(utc_timestamp, timezone) -%}
    cast(from_utc_timestamp({{ utc_timestamp }}, {{ timezone }}) as date)
{%- endmacro %}

{% macro spark__matches(text, pattern) -%}
    {#- In Java, a bracket within brackets begins a nested set. -#}
    {{ text }} rlike {{ pattern | replace('[[', '[\\\\[') }}
{%- endmacro %}

{% macro spark__url_decoded(text) -%}
    {#-
        Lone percent signs and plus signs stay. Bytes that are not UTF-8 become U+FFFD; the text is then kept as it was.
    -#}
    {%- set decoded = "url_decode(replace(regexp_replace(" ~ text
        ~ ", '%(?![0-9A-Fa-f][0-9A-Fa-f])', '%25'), '+', '%2B'))" -%}
    replace(
        case
            when {{ decoded }} like '%\uFFFD%' and not lower({{ text }}) like '%\%ef\%bf\%bd%' then {{ text }}
            else {{ decoded }}
        end,
        chr(0),
        ''
    )
{%- endmacro %}

{% macro spark__composed_letters(text) -%}
    {#- Letter by letter, if there is a mark: each mark and the letter before it become one. -#}
    {%- set both = letters_and_marks() -%}
    {%- set pairs = [] -%}
    {%- for number in range(both | length // 2) -%}
        {%- do pairs.append(both[2 * number : 2 * number + 2]) -%}
    {%- endfor -%}
    {%- set composed = "element_at(map_from_arrays(split('" ~ pairs | join(' ') ~ "', ' '), split('"
        ~ composed_pairs() | join(' ') ~ "', ' ')), right(done, 1) || letter)" -%}
    case
        when {{ text }} rlike '\\p{M}'
            then aggregate(
                split(translate({{ text }}, '{{ duplicate_letters() }}', '{{ letters_that_count() }}'), ''),
                '',
                (done, letter) -> coalesce(left(done, length(done) - 1) || {{ composed }}, done || letter)
            )
        else translate({{ text }}, '{{ duplicate_letters() }}', '{{ letters_that_count() }}')
    end
{%- endmacro %}

{% macro spark__folded_text(text) -%}
    trim(regexp_replace(
        lower(regexp_replace(translate({{ text }}, '{{ accented_letters() }}', '{{ plain_letters() }}'), '\\p{M}', '')),
        '[ \\t\\n\\x0B\\f\\r]+',
        ' '
    ))
{%- endmacro %}

{% macro spark__earliest(value, order_by) -%}
    min_by({{ value }}, case when {{ value }} is not null then struct({{ order_by | join(', ') }}) end)
{%- endmacro %}

{% macro spark__latest(value, order_by) -%}
    max_by({{ value }}, case when {{ value }} is not null then struct({{ order_by | join(', ') }}) end)
{%- endmacro %}

{% macro spark__last_known(value) -%}
    last_value({{ value }}, true)
{%- endmacro %}

{% macro spark__joined_texts(value, separator, order_by) -%}
    array_join(
        transform(
            nullif(
                array_sort(collect_list(
                    case when {{ value }} is not null then struct({{ order_by | join(', ') }}, {{ value }} as joined) end
                )),
                array()
            ),
            element -> element.joined
        ),
        '{{ separator }}'
    )
{%- endmacro %}

{% macro spark__fnv1a32(text) -%}
    aggregate(
        split({{ text }}, ''),
        2166136261L,
        (hash, letter) -> ((hash ^ cast(ascii(letter) as bigint)) * 16777619L) % 4294967296L
    )
{%- endmacro %}

{% macro spark__split_text(text, separator) -%}
    split({{ text }}, '\\Q{{ separator }}\\E')
{%- endmacro %}

{% macro spark__dates_between(first, last) -%}
    case when {{ first }} <= {{ last }} then sequence({{ first }}, {{ last }}, interval 1 day) else array() end
{%- endmacro %}

{% macro spark__elapsed(unit, since, until) -%}
    {%- if unit == 'second' -%}
        (unix_seconds({{ until }}) - unix_seconds({{ since }}))
    {%- elif unit == 'day' -%}
        cast(datediff({{ until }}, {{ since }}) as bigint)
    {%- elif unit == 'month' -%}
        cast((year({{ until }}) - year({{ since }})) * 12 + month({{ until }}) - month({{ since }}) as bigint)
    {%- else -%}
        {{ exceptions.raise_compiler_error('elapsed knows seconds, days and months, not ' ~ unit) }}
    {%- endif -%}
{%- endmacro %}

{% macro spark__rounded(number, places) -%}
    (round(({{ number }}) * 1e{{ places }}) / 1e{{ places }})
{%- endmacro %}

{% macro spark__exact(number, precision, scale) -%}
    cast({{ spark__rounded(number, scale) }} as decimal({{ precision }}, {{ scale }}))
{%- endmacro %}

{% macro spark__dateadd(datepart, interval, from_date_or_timestamp) -%}
    {#- Dates only. dbt-spark's version goes through texts and fails on nulls. -#}
    {%- if datepart == 'day' -%}
        date_add(cast({{ from_date_or_timestamp }} as date), cast({{ interval }} as integer))
    {%- elif datepart == 'month' -%}
        add_months(cast({{ from_date_or_timestamp }} as date), cast({{ interval }} as integer))
    {%- else -%}
        {{ exceptions.raise_compiler_error('dateadd knows days and months, not ' ~ datepart) }}
    {%- endif -%}
{%- endmacro %}

{#- Spark 3.5 has no recursion: queries run in rounds before the model's own query, until nothing changes. -#}

{% macro spark__with_connected_components(ctes, nodes, links) -%}
    {%- set graph, labels, next = scratch('links'), scratch('labels'), scratch('labels_next') -%}
    {%- if runs_models() -%}
        {%- do replace_scratch(graph, 'with ' ~ ctes ~ ' select from_node, to_node from ' ~ links) -%}
        {%- do replace_scratch(labels, 'with ' ~ ctes ~ ' select distinct node, node as component from ' ~ nodes) -%}
        {%- set state = namespace(changed=1) -%}
        {%- for _ in range(1000) if state.changed -%}
            {#- Labels spread to neighbours and jump to the label of the label, so that long chains need few rounds. -#}
            {%- do replace_scratch(next, 'select node, min(component) as component from ('
                ~ 'select node, component from ' ~ labels
                ~ ' union all select links.to_node as node, labels.component from ' ~ labels ~ ' as labels inner join '
                ~ graph ~ ' as links on labels.node = links.from_node'
                ~ ' union all select labels.node, further.component from ' ~ labels ~ ' as labels inner join '
                ~ labels ~ ' as further on labels.component = further.node) as offered'
                ~ ' where node in (select node from ' ~ labels ~ ') group by node') -%}
            {%- set state.changed = number_of('select count(*) from ' ~ labels ~ ' as former inner join ' ~ next
                ~ ' as latter on former.node = latter.node where latter.component < former.component') -%}
            {%- if state.changed -%}
                {%- do replace_scratch(labels, 'select node, component from ' ~ next) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
with

{{ ctes }},

labels as (

    select
        node,
        component
    from {{ labels }}

)
{%- endmacro %}

{% macro spark__with_nearest_owners(ctes, nodes, links) -%}
    {%- set graph, owners = scratch('links'), scratch('owners') -%}
    {%- if runs_models() -%}
        {%- do replace_scratch(graph, 'with ' ~ ctes ~ ' select from_node, to_node, last_linked_at, last_event_id from ' ~ links) -%}
        {%- do replace_scratch(owners, 'with ' ~ ctes ~ ' select node, node as owner, 0 as steps from ' ~ nodes) -%}
        {%- set state = namespace(owners=number_of('select count(*) from ' ~ owners), added=1) -%}
        {%- for round in range(1000) if state.added -%}
            {%- do run_statement('insert into ' ~ owners ~ ' select node, owner, steps from ('
                ~ 'select links.to_node as node, owners.owner, owners.steps + 1 as steps, row_number() over ('
                ~ 'partition by links.to_node order by links.last_linked_at desc, links.last_event_id desc, owners.node'
                ~ ') as owner_rank from ' ~ owners ~ ' as owners inner join ' ~ graph
                ~ ' as links on owners.node = links.from_node left join ' ~ owners ~ ' as known on links.to_node = known.node'
                ~ ' where known.node is null and owners.steps = ' ~ round ~ ') as reached where owner_rank = 1') -%}
            {%- set now = number_of('select count(*) from ' ~ owners) -%}
            {%- set state.added, state.owners = now - state.owners, now -%}
        {%- endfor -%}
    {%- endif -%}
with

{{ ctes }},

owners as (

    select
        node,
        owner,
        steps
    from {{ owners }}

)
{%- endmacro %}
