with

periods as (

    select
        *,
        lead(valid_from) over (partition by shop, variant_id order by valid_from) as next_valid_from
    from {{ ref('variant_history') }}

)

select variant_period_key
from periods
where valid_to > next_valid_from or valid_to < valid_from or (valid_to is null and next_valid_from is not null)
