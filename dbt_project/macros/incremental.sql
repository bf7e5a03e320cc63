{#-
    How a run computes no more than what is new, and still ends with what a full rebuild would hold. A model that keeps
    history computes the rows that may have changed and replaces them: what it deletes is named by its `unique_key`
    (rows that come back), by its `incremental_predicates` (rows that may vanish, too), or both. Deleting and inserting
    are one transaction. docs/decisions tells why none of dbt's own strategies does this.
-#}

{% macro first_build() -%}
    {#- No run has ended yet, or --full-refresh was asked for: nothing that is stored counts. -#}
    {%- set processed = adapter.get_relation(
        database=target.database, schema='intermediate', identifier='int_landing_files_processed'
    ) -%}
    {{ return(flags.FULL_REFRESH or processed is none) }}
{%- endmacro %}

{% macro stored(name, schema='intermediate') -%}
    {#- A table as the run before left it, read by a model that the table itself is made from. -#}
    {{ return(schema ~ '.' ~ name) }}
{%- endmacro %}

{% macro get_incremental_replace_touched_sql(arg_dict) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set conditions = [] -%}
    {%- if first_build() -%}
        {%- do conditions.append('true') -%}
    {%- else -%}
        {%- if arg_dict['unique_key'] -%}
            {%- do conditions.append(
                arg_dict['unique_key'] ~ ' in (select ' ~ arg_dict['unique_key'] ~ ' from ' ~ arg_dict['temp_relation'] ~ ')'
            ) -%}
        {%- endif -%}
        {%- for predicate in arg_dict['incremental_predicates'] or [] -%}
            {%- do conditions.append(predicate) -%}
        {%- endfor -%}
    {%- endif %}
    delete from {{ arg_dict['target_relation'] }} where {{ conditions | join(' or ') }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{%- endmacro %}

{% macro pending_landing_files(pending) -%}
    {#- The names of the files as literals; in a first build all there are. -#}
    {%- if first_build() -%}
        select pending.landing_file from {{ pending }} as pending
    {%- else -%}
        {%- set names = run_query('select landing_file from ' ~ pending).columns[0].values() if execute else [] -%}
        '{{ (names | list or ['']) | join("', '") }}'
    {%- endif -%}
{%- endmacro %}

{% macro event_columns() -%}
    {#- The columns of int_events but for the session, which is what that model adds. -#}
    event_key, shop, event_id, event_name, event_type, event_at, local_date, event_sequence, client_id, page_url,
    page_path, page_query, page_title, referrer_url, user_agent, is_analytics_allowed, is_marketing_allowed,
    has_global_privacy_control, is_own_host, pixel_version, visitor_hash, received_at, landing_file, request_id,
    request_index, content_hash, product_id, variant_id, sku, product_title, vendor, product_type, product_url,
    image_url, price, quantity, line_amount, currency, checkout_token, order_gid, customer_id, is_first_order, country,
    subtotal_amount, discount_amount, shipping_amount, tax_amount, total_amount, lines, lines_complete, line_count,
    discount_applications, delivery_options
{%- endmacro %}

{% macro event_keys_in_touched_spans(events) -%}
    {#- Which events lie in a stretch of their client's time in which sessions are cut anew. -#}
    {%- set touched, dates = ref('int_touched_events'), ref('int_touched_dates') -%}
    select distinct events.event_key
    from {{ events }} as events
    inner join {{ touched }} as touched
        on
            events.shop = touched.shop
            and events.client_id = touched.client_id
            and events.event_at between touched.from_at and touched.to_at
    where events.local_date in (select dates.local_date from {{ dates }} as dates)
{%- endmacro %}

{% macro events_of_touched_sessions() -%}
    {#- What session models read: the events of the sessions that were cut anew, which are all in a first build. -#}
    {%- set touched, all = ref('int_events_touched'), ref('int_events') -%}
    {{ return(all if first_build() else touched) }}
{%- endmacro %}

{% macro in_touched_days(shop, date) -%}
    {#- A condition: the day is one that this run replaces; in a first build all are. -#}
    {%- set days = ref('int_touched_days') -%}
    {{ 'true' if first_build() else '(' ~ shop ~ ', ' ~ date ~ ') in (select days.shop, days.touched_date from ' ~ days ~ ' as days)' }}
{%- endmacro %}

{% macro in_touched(column, relation, key) -%}
    {#- A condition: the row is one that this run replaces; in a first build all are. -#}
    {{ 'true' if first_build() else column ~ ' in (select touched.' ~ key ~ ' from ' ~ relation ~ ' as touched)' }}
{%- endmacro %}

{% macro is_whole_run() -%}
    {#- True where every model is being run, and not a selection that leaves the others behind. -#}
    {%- set models = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.enabled -%}
            {%- do models.append(node.unique_id) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return('true' if models | reject('in', selected_resources) | list | length == 0 else 'false') }}
{%- endmacro %}
