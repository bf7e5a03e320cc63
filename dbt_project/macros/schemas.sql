{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- A mart is core.orders, not main_core.orders. -#}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
