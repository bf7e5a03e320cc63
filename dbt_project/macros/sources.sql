{% macro create_declared_table(source_name, table_name) -%}
    {#-
        Creates a table that is filled after dbt has run, as its source's yml declares it, so that views on it can be
        created before it has rows. Keeps an existing table and its rows.
    -#}
    {%- if execute -%}
        {%- set declared = graph.sources.values()
            | selectattr('source_name', 'equalto', source_name) | selectattr('name', 'equalto', table_name) | first -%}
        {#- Not source(): with --empty it is a query. -#}
        {%- set relation = api.Relation.create(
            database=declared.database, schema=declared.schema, identifier=declared.identifier, type='table'
        ) -%}
        {%- do run_statement(create_declared(relation, declared.columns.values() | list, declared.description)) -%}
    {%- endif -%}
{%- endmacro %}

{% macro run_statement(sql) -%}
    {#- Runs a statement that returns no rows. -#}
    {%- call statement() -%}{{ sql }}{%- endcall -%}
{%- endmacro %}

{% macro runs_models() -%}
    {#- Whether models are built, not only compiled. -#}
    {{ return(execute and flags.WHICH in ('run', 'build', 'retry')) }}
{%- endmacro %}
