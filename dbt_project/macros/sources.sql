{% macro create_declared_table(source_name, table_name) -%}
    {#-
        Creates a table that is filled after dbt has run, as declared in its source's yml, so that views on it can be
        created before it has rows. Keeps an existing table and its rows.
    -#}
    {%- if execute -%}
        {%- set declared = graph.sources.values()
            | selectattr('source_name', 'equalto', source_name) | selectattr('name', 'equalto', table_name) | first -%}
        {%- set relation = source(source_name, table_name).incorporate(type='table') -%}
        {%- set columns = declared.columns.values() | list -%}
        {%- set typed = [] -%}
        {%- for column in columns -%}
            {%- do typed.append(column.name ~ ' ' ~ column.data_type) -%}
        {%- endfor -%}
        {%- do run_query('create table if not exists ' ~ relation ~ ' (' ~ typed | join(', ') ~ ')') -%}
        {%- do run_query(alter_relation_comment(relation, declared.description)) -%}
        {%- do run_query(alter_column_comment(relation, declared.columns)) -%}
    {%- endif -%}
{%- endmacro %}
