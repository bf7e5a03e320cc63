{#-
    Materializations on Spark, as Iceberg tables. Spark has no transaction over several statements, and a process may
    die between any two. So one statement replaces a table. The rows of an incremental table are replaced on a branch,
    which then becomes the table in one step; the next run overwrites a leftover branch.
-#}

{% materialization table, adapter='spark' %}
    {{ return(spark_replaced(this.incorporate(type='table'))) }}
{% endmaterialization %}

{% materialization view, adapter='spark' %}
    {{ return(spark_replaced(this.incorporate(type='view'))) }}
{% endmaterialization %}

{% materialization incremental, adapter='spark' %}

    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- if existing is none or existing.is_view or first_build() -%}
        {{ return(spark_replaced(target_relation)) }}
    {%- endif -%}

    {%- set columns = adapter.get_columns_in_relation(existing) | map(attribute='quoted') | join(', ') -%}

    {{ run_hooks(pre_hooks) }}

    {%- if config.get('incremental_strategy') == 'append' -%}
        {% call statement('main') -%}
            insert into {{ target_relation }} ({{ columns }})
            select {{ columns }} from ({{ declared_columns(compiled_code) }}) as appended
        {%- endcall %}
    {%- else -%}
        {#- A table, not a view: the query reads the table from which rows are deleted. -#}
        {%- set rows = scratch('rows') -%}
        {%- do replace_scratch(rows, declared_columns(compiled_code)) -%}
        {%- do run_statement('alter table ' ~ target_relation ~ ' create or replace branch run') -%}
        {%- do run_statement('delete from ' ~ target_relation ~ '.branch_run where '
            ~ rows_replaced(config.get('unique_key'), config.get('incremental_predicates'), rows)) -%}
        {%- do run_statement('insert into ' ~ target_relation ~ '.branch_run (' ~ columns ~ ') select ' ~ columns
            ~ ' from ' ~ rows) -%}
        {% call statement('main') -%}
            call {{ target_relation.database or 'spark_catalog' }}.system.fast_forward('{{ target_relation }}', 'main', 'run')
        {%- endcall %}
    {%- endif %}

    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}

{% macro spark_replaced(relation) -%}
    {%- set existing = load_cached_relation(relation) -%}

    {{ run_hooks(pre_hooks) }}

    {#- Iceberg's spark_catalog reports success for `create or replace view`, but keeps the old query. -#}
    {%- if existing is not none and (relation.is_view or existing.is_view) -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {% call statement('main') -%}
        create {{ 'view' if relation.is_view else 'or replace table' }} {{ relation }}
        {% if not relation.is_view -%}
            using iceberg
            tblproperties ({{ table_properties() }})
        {% endif -%}
        {% if config.persist_relation_docs() -%}
            comment '{{ spark_text(model.description) }}'
        {% endif -%}
        {# An embedded metastore (Derby) stores at most 32,700 characters of a view. -#}
        as
        {{ modules.re.sub('\\n\\s+', '\n', declared_columns(compiled_code)) }}
    {%- endcall %}

    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [relation]}) }}
{%- endmacro %}

{% macro table_properties() -%}
    {#- Deletes only mark rows: a run writes the rows it changes, not the files they are in. -#}
    'format-version' = '2', 'write.delete.mode' = 'merge-on-read'
{%- endmacro %}

{% macro declared_columns(sql) -%}
    {#- Row numbers are integers in Spark and bigints in DuckDB; the contract's types are stored. -#}
    {%- if config.get('contract').enforced -%}
        select
            {% for column in model.columns.values() -%}
                cast({{ column.name }} as {{ spark_type(column.data_type) }}) as {{ column.name }}{{ "," if not loop.last }}
            {% endfor %}
        from (
            {{ sql }}
        ) as declared
    {%- else -%}
        {{ sql }}
    {%- endif -%}
{%- endmacro %}

{% macro spark_type(data_type) -%}
    {{ 'string' if data_type == 'varchar' else data_type }}
{%- endmacro %}

{% macro spark_text(text) -%}
    {{ text | trim | replace('\\', '\\\\') | replace("'", "\\'") }}
{%- endmacro %}

{% macro spark__create_declared(relation, columns, description) -%}
    create table if not exists {{ relation }} (
        {%- for column in columns %}
        {{ column.name }} {{ spark_type(column.data_type) }} comment '{{ spark_text(column.description) }}'{{ "," if not loop.last }}
        {%- endfor %}
    )
    using iceberg
    comment '{{ spark_text(description) }}'
    tblproperties ({{ table_properties() }})
{%- endmacro %}

{% macro scratch(name) -%}
    {#- A table for rows that the current model passes between two statements; its next run overwrites it. -#}
    {{ return('scratch.' ~ this.identifier ~ '__' ~ name) }}
{%- endmacro %}

{% macro replace_scratch(table, sql) -%}
    {%- do run_statement('create schema if not exists scratch') -%}
    {%- do run_statement('create or replace table ' ~ table ~ ' using iceberg as ' ~ sql) -%}
{%- endmacro %}

{% macro number_of(query) -%}
    {{ return(run_query(query).columns[0].values()[0]) }}
{%- endmacro %}
