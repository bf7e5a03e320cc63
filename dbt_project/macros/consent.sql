{#- What a person's choices permit: the table of docs/privacy.md, section Consent. A test compares the two. -#}

{% macro consent_choices() -%}
    {#- The choices of Shopify's customer privacy API, by column. Null is unknown and counts as not refused. -#}
    {{ return({
        'is_analytics_allowed': '$.analyticsProcessingAllowed',
        'is_marketing_allowed': '$.marketingAllowed',
        'is_preferences_allowed': '$.preferencesProcessingAllowed',
        'is_sale_of_data_allowed': '$.saleOfDataAllowed',
    }) }}
{%- endmacro %}

{% macro uses_of_a_person() -%}
    {#- Each use of data about one person, with the choices it needs: none of them may be refused. -#}
    {{ return({
        'profile': ['is_sale_of_data_allowed'],
        'personal_lists': ['is_sale_of_data_allowed', 'is_preferences_allowed'],
        'contact': ['is_sale_of_data_allowed', 'is_marketing_allowed'],
        'experiment': ['is_analytics_allowed', 'is_preferences_allowed'],
    }) }}
{%- endmacro %}

{% macro permits(use, relation) -%}
    {#- Whether the choices in these rows permit a use. -#}
    {%- for choice in uses_of_a_person()[use] -%}
        coalesce({{ relation }}.{{ choice }}, true){{ " and " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
