{% test valid_rows(model, keys=[], not_null=[], values={}, shop='shop') %}
    {#-
        All row checks of one table as one test, because a dbt node costs more than its query: `keys` are unique (each one
        column or several), `not_null` columns are never null, `values` lists the accepted values of columns. Failing rows
        are reported with their shop, which can then be put aside (orchestration/fence.py).
    -#}
    {%- set wrong = [] -%}
    {%- for column in not_null -%}
        {%- do wrong.append(column ~ ' is null') -%}
    {%- endfor -%}
    {%- for column, allowed in values.items() -%}
        {%- do wrong.append('not (' ~ in_texts(column, allowed) ~ ')') -%}
    {%- endfor -%}
    {%- set selects = [] -%}
    {%- if wrong -%}
        {%- set select -%}
            select
                {{ shop }} as shop,
                case
                    {%- for condition in wrong %}
                    when {{ condition }} then '{{ condition | replace("'", "''") }}'
                    {%- endfor %}
                end as problem
            from {{ model }}
            where {{ wrong | join(' or ') }}
        {%- endset -%}
        {%- do selects.append(select) -%}
    {%- endif -%}
    {%- for key in keys -%}
        {%- set columns = [key] if key is string else key -%}
        {%- set select -%}
            select
                min({{ shop }}) as shop,
                'several rows have the same {{ columns | join(', ') }}' as problem
            from {{ model }}
            {{ 'where ' ~ key ~ ' is not null' if key is string }}
            group by {{ columns | join(', ') }}
            having count(*) > 1
        {%- endset -%}
        {%- do selects.append(select) -%}
    {%- endfor -%}
    {{ selects | join('\nunion all\n') }}
{% endtest %}
