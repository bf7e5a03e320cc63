{#-
    Drops and recreates a table, with its comments, in one statement of one transaction. dbt-duckdb's own materialization
    builds a second table and renames both, for concurrent readers, and asks for the columns that it comments on. The
    warehouse has no readers during a run, and dbt spends more time on a statement than DuckDB does.
-#}
{% materialization table, adapter='duckdb' %}

    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% call statement('main') -%}
        {% if existing is not none -%}
            drop {{ existing.type }} if exists {{ existing }} cascade;
        {% endif -%}
        {{ create_table_as(False, target_relation, compiled_code) }}
        {{ comments_on(target_relation) }}
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}

{% macro comments_on(relation) -%}
    {#- The descriptions of the current model and its columns as comments, if persist_docs asks for them. -#}
    {%- if config.persist_relation_docs() -%}
        comment on table {{ relation }} is {{ duckdb_escape_comment(model.description) }};
    {%- endif %}
    {%- if config.persist_column_docs() -%}
        {%- for column in model.columns.values() %}
            comment on column {{ relation }}.{{ column.name }} is {{ duckdb_escape_comment(column.description) }};
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
