{#-
    Materializations with as few statements as possible: dbt spends more time on a statement than DuckDB does. A relation is
    dropped, created and commented on in one statement of one transaction. dbt-duckdb's own materializations build a second
    relation and rename both, for concurrent readers, and ask several times for the columns. The warehouse has no readers
    during a run, and changed columns change the fingerprint of the code, which forces a full build.
-#}
{% materialization table, adapter='duckdb' %}
    {{ return(replaced_relation(this.incorporate(type='table'))) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb' %}
    {{ return(replaced_relation(this.incorporate(type='view'))) }}
{% endmaterialization %}

{% materialization incremental, adapter='duckdb' %}

    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is none or existing.is_view or should_full_refresh() -%}
        {{ return(replaced_relation(this.incorporate(type='table'))) }}
    {%- endif -%}

    {%- set target_relation, rows = this.incorporate(type='table'), make_temp_relation(this) -%}
    {%- set strategy = config.get('incremental_strategy') -%}
    {%- set apply = adapter.get_incremental_strategy_macro(context, strategy) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% call statement('main') -%}
        {{ create_table_as(True, rows, compiled_code) }}
        {{ apply({
            'target_relation': target_relation,
            'temp_relation': rows,
            'unique_key': config.get('unique_key'),
            'dest_columns': adapter.get_columns_in_relation(existing) if strategy == 'append',
            'incremental_predicates': config.get('incremental_predicates'),
        }) }};
        drop table {{ rows.include(database=false, schema=false) }};
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}

{% macro get_incremental_replace_changed_sql(arg_dict) -%}
    {%- set rows = arg_dict['temp_relation'] %}
    delete from {{ arg_dict['target_relation'] }}
    where {{ rows_replaced(arg_dict['unique_key'], arg_dict['incremental_predicates'], rows) }};
    insert into {{ arg_dict['target_relation'] }} by name
    select * from {{ rows }};
{%- endmacro %}

{% macro replaced_relation(relation) -%}
    {%- set existing = load_cached_relation(relation) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% call statement('main') -%}
        {% if existing is not none -%}
            drop {{ existing.type }} if exists {{ existing }} cascade;
        {% endif -%}
        {{ create_view_as(relation, compiled_code) if relation.is_view else create_table_as(False, relation, compiled_code) }}
        {{ comments_on(relation) }}
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [relation]}) }}
{%- endmacro %}

{% macro duckdb__get_assert_columns_equivalent(sql) -%}
    {#- The columns of a model cannot differ from its contract later: changed code forces a full build. -#}
    {%- if first_build() -%}
        {{ return(assert_columns_equivalent(sql)) }}
    {%- endif -%}
{%- endmacro %}

{% macro comments_on(relation) -%}
    {#- The descriptions of the current model and its columns as comments, if persist_docs asks for them. -#}
    {%- if config.persist_relation_docs() -%}
        comment on {{ relation.type }} {{ relation }} is {{ duckdb_escape_comment(model.description) }};
    {%- endif %}
    {%- if config.persist_column_docs() -%}
        {%- for column in model.columns.values() %}
            comment on column {{ relation }}.{{ column.name }} is {{ duckdb_escape_comment(column.description) }};
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
