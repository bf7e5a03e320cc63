{#-
    How a run recomputes only what changed and still ends with the result of a full rebuild. An incremental model computes
    the rows that may have changed and replaces them. It deletes by `unique_key` (rows that are recomputed), by
    `incremental_predicates` (rows that may also disappear), or both. Delete and insert run in one transaction.
    docs/decisions explains why none of dbt's own strategies fits; README.md has a diagram.
-#}

{% macro first_build() -%}
    {#- True before any run has recorded its landing files, or with --full-refresh: stored rows are ignored. -#}
    {%- set processed = adapter.get_relation(
        database=target.database, schema='intermediate', identifier='int_landing_files_processed'
    ) -%}
    {{ return(flags.FULL_REFRESH or processed is none) }}
{%- endmacro %}

{% macro stored(name, schema='intermediate') -%}
    {#- A table as the previous run left it, for models on which that table depends. -#}
    {{ return(schema ~ '.' ~ name) }}
{%- endmacro %}

{% macro rows_replaced(unique_key, predicates, rows) -%}
    {#- A condition: the stored rows that a run deletes before it inserts the relation `rows`. -#}
    {%- set conditions = [] -%}
    {%- if first_build() -%}
        {%- do conditions.append('true') -%}
    {%- else -%}
        {%- if unique_key -%}
            {%- do conditions.append(unique_key ~ ' in (select ' ~ unique_key ~ ' from ' ~ rows ~ ')') -%}
        {%- endif -%}
        {%- for predicate in predicates or [] -%}
            {%- do conditions.append(predicate) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(conditions | join(' or ')) }}
{%- endmacro %}

{% macro rows_of_this_run(columns, work_set, keys=none) -%}
    {#-
        For incremental_predicates: matches stored rows whose columns are among the keys of a table of this run. dbt
        renders configs before refs are available, so the table is named without ref.
    -#}
    {{ return(_is_among(columns, keys or columns, stored(work_set))) }}
{%- endmacro %}

{% macro days_of_this_run() -%}
    {{ return(rows_of_this_run('shop, local_date', 'int_days_replaced_this_run')) }}
{%- endmacro %}

{% macro is_of_this_run(columns, keys, relation) -%}
    {#- A condition that selects the rows this run computes; in a first build, all rows. -#}
    {{ return('true' if first_build() else _is_among(columns, keys, relation)) }}
{%- endmacro %}

{% macro is_day_of_this_run(shop, date) -%}
    {{ return(is_of_this_run(shop ~ ', ' ~ date, 'shop, local_date', ref('int_days_replaced_this_run'))) }}
{%- endmacro %}

{% macro _is_among(columns, keys, relation) -%}
    {%- set keys = 'this_run.' ~ keys.replace(', ', ', this_run.') -%}
    {{ return('(' ~ columns ~ ') in (select ' ~ keys ~ ' from ' ~ relation ~ ' as this_run)') }}
{%- endmacro %}

{% macro pending_landing_files(pending) -%}
    {#- The names of the pending files as literals; in a first build, a subquery for all of them. -#}
    {%- if first_build() -%}
        select pending.landing_file from {{ pending }} as pending
    {%- else -%}
        {%- set names = run_query('select landing_file from ' ~ pending).columns[0].values() if execute else [] -%}
        '{{ (names | list or ['']) | join("', '") }}'
    {%- endif -%}
{%- endmacro %}

{% macro event_columns() -%}
    {#- The columns of int_events except the session, which that model adds. -#}
    event_key, shop, event_id, event_name, event_type, event_at, local_date, event_sequence, client_id, page_url,
    page_path, page_query, page_title, referrer_url, user_agent, is_analytics_allowed, is_marketing_allowed,
    is_preferences_allowed, is_sale_of_data_allowed, has_global_privacy_control, is_own_host, pixel_version,
    visitor_hash, received_at, landing_file, request_id, request_index, content_hash, product_id, variant_id, sku, product_title, vendor, product_type, product_url,
    image_url, price, quantity, currency, checkout_token, order_gid, customer_id, is_first_order, country,
    subtotal_amount, discount_amount, shipping_amount, tax_amount, total_amount, lines, lines_complete, line_count,
    discount_applications, delivery_options, recommendation_data, is_available, collection_id, collection_title,
    search_query, listed_product_ids
{%- endmacro %}

{% macro event_keys_in_rebuilt_spans(events) -%}
    {#- The events within a time span of their client in which sessions are split again. -#}
    {%- set changed, dates = ref('int_events_changed_this_run'), ref('int_dates_scanned_this_run') -%}
    select distinct events.event_key
    from {{ events }} as events
    inner join {{ changed }} as changed
        on
            events.shop = changed.shop
            and events.client_id = changed.client_id
            and events.event_at between changed.from_at and changed.to_at
    where events.local_date in (select dates.local_date from {{ dates }} as dates)
{%- endmacro %}

{% macro events_rebuilt_this_run() -%}
    {#- The input of session models: the events of re-split sessions; in a first build, all events. -#}
    {%- set rebuilt, all = ref('int_events_rebuilt_this_run'), ref('int_events') -%}
    {{ return(all if first_build() else rebuilt) }}
{%- endmacro %}

{% macro record_landing_files(results) -%}
    {#-
        The end of a run, called on-run-end. If every model of the project was built and nothing failed, it records the
        landing files as processed and empties the work sets. A run that crashes, fails or selects only some of the
        models leaves both unchanged, and the next run processes the same files again.

        The files are recorded first: on an engine without transactions, a crash in between leaves work sets that only
        make the next run replace more rows than necessary.
    -#}
    {%- if execute and not flags.EMPTY and built_whole_project(results) -%}
        {%- set processed, pending = stored('int_landing_files_processed'), stored('int_landing_files_this_run') -%}
        {%- call statement() -%}
            create table if not exists {{ processed }} (
                landing_file {{ dbt.type_string() }},
                load_id {{ dbt.type_string() }},
                fingerprint {{ dbt.type_string() }}
            )
        {%- endcall -%}
        {%- call statement() -%}
            delete from {{ processed }}
            where {{ is_of_this_run('landing_file', 'landing_file', pending) }}
        {%- endcall -%}
        {%- call statement() -%}
            insert into {{ processed }} (landing_file, load_id, fingerprint)
            select landing_file, load_id, '{{ env_var("PIXELNOVA_FINGERPRINT", "unknown") }}'
            from {{ pending }}
        {%- endcall -%}
        {%- for model in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') if 'work_set' in model.tags -%}
            {%- call statement() -%}
                delete from {{ stored(model.name) }}
            {%- endcall -%}
        {%- endfor -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{%- endmacro %}

{% macro built_whole_project(results) -%}
    {#-
        True if no model or test failed or was skipped, and every model was built. An incremental run may leave out views,
        which change only with the rules.
    -#}
    {%- set failed = results | map(attribute='status') | select('in', ['error', 'fail', 'skipped', 'runtime error']) -%}
    {%- set built = results | selectattr('status', 'equalto', 'success') | map(attribute='node.unique_id') | list -%}
    {%- set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | list -%}
    {%- if not first_build() -%}
        {%- set models = models | rejectattr('config.materialized', 'equalto', 'view') | list -%}
    {%- endif -%}
    {{ return(not failed | list and not models | map(attribute='unique_id') | reject('in', built) | list) }}
{%- endmacro %}
