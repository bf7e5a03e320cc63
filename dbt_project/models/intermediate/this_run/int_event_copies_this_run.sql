{#- Events received more than once, in this run or before, with the copy that counts. -#}

{% set columns = [
    'event_key', 'shop', 'client_id', 'checkout_token', 'customer_id', 'event_at', 'local_date', 'received_at',
    'content_hash', 'request_id', 'request_index', 'landing_file'
] %}

with

received as (

    select
        {{ columns | join(',
        ') }},
        false as is_stored
    from {{ ref('int_events_received_this_run') }}
    where rejection_reason is null

),

stored as (

    select
        {{ columns | join(',
        ') }},
        true as is_stored
    from {{ ref('int_events_received_this_run') if first_build() else stored('int_events') }}
    where {{ 'false' if first_build() else 'event_key in (select received.event_key from received)' }}

),

repeated as (

    select event_key
    from received
    group by event_key
    having count(*) > 1

    union

    select event_key from stored

),

candidates as (

    select * from received
    where event_key in (select repeated.event_key from repeated)

    union all

    select * from stored

)

-- The first received copy counts. The columns after received_at make the choice deterministic.
select
    *,
    row_number() over (
        partition by event_key
        order by received_at, content_hash, request_id, request_index, landing_file, is_stored
    ) as copy_rank
from candidates
