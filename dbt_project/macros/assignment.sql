{#- Assigns units to experiments, in the same way as ingestion/assignment.py and the storefront snippet. -#}

{% macro assigned_bucket(seed, unit) -%}
    {#- The bucket (0 to 9999) of a unit under a seed, both ASCII: version 2 of GrowthBook's hash, in integers. -#}
    cast({{ fnv1a32('cast(' ~ fnv1a32(seed ~ ' || ' ~ unit) ~ ' as ' ~ dbt.type_string() ~ ')') }} % 10000 as integer)
{%- endmacro %}

{% macro takes_part(phase, unit, has_holdout) -%}
    {#-
        Whether a unit can be in any variation of a phase (a row of stg_experiments__phases): it is in the experiment's
        part of the layer and not in the shop's holdout, if that has begun. Its bucket may still be outside the coverage.
    -#}
    case
        when {{ phase }}.layer is null then true
        else
            {{ assigned_bucket(phase ~ '.layer', unit) }} >= {{ phase }}.layer_from
            and {{ assigned_bucket(phase ~ '.layer', unit) }} < {{ phase }}.layer_to
    end
    and case
        when {{ has_holdout }} then {{ assigned_bucket("'holdout'", unit) }} >= {{ phase }}.holdout_to
        else true
    end
{%- endmacro %}
