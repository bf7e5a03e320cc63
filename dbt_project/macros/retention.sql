{#-
    Retention deletes old events, while the numbers of closed days stay: ingestion/privacy/retention.py copies their rows
    to the schema `kept`, which exists only where a shop limits how long events are kept.
-#}

{% macro with_kept_days(computed) -%}
    {#- The computed rows of days that are not closed, and the kept rows of those that are. Ends a daily model. -#}
    {%- set kept = _kept(this.identifier) -%}
    {%- if kept is none -%}
select * from {{ computed }}
    {%- else -%}
select {{ computed }}.*
from {{ computed }}
left join kept.closed_days as closed on {{ computed }}.shop = closed.shop
where closed.shop is null or {{ computed }}.local_date > closed.closed_until

union all

select
    {% set columns = adapter.get_columns_in_relation(kept) | map(attribute='name') | list -%}
    {%- for column in model.columns.values() %}
    {{ column.name if column.name in columns else 'cast(null as ' ~ column.data_type ~ ')' }} as {{ column.name }}{{ "," if not loop.last }}
    {%- endfor %}
from {{ kept }}
where {{ is_day_of_this_run('shop', 'local_date') }}
    {%- endif -%}
{%- endmacro %}

{% macro counts_all_days(shop) -%}
    {#- A condition for tests that compare daily rows with events: the shop has no closed days. -#}
    {{ return('true' if _kept('closed_days') is none else shop ~ ' not in (select closed.shop from kept.closed_days as closed)') }}
{%- endmacro %}

{% macro _kept(table) -%}
    {{ return(adapter.get_relation(database=target.database, schema='kept', identifier=table) if execute else none) }}
{%- endmacro %}
