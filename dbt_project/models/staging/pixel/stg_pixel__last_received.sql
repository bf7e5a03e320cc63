-- No line is received after the load of its file began: later times come from a wrong clock.
select
    shop,
    max(
        case
            when load_began_at is null or received_at <= load_began_at + interval '1' hour
                then cast(received_at as timestamp)
        end
    ) as last_received_at
from {{ source('pixel', 'events') }}
where {{ is_built('shop') }}
group by shop
