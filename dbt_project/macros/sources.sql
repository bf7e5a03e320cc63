{% macro create_declared_table(source_name, table_name) -%}
    {#-
        A table that something else fills after dbt has run, as its source's yml declares it: a view can be made of it
        before it has rows. What is in it stays.
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
