select sessions.session_id
from {{ ref('int_sessions') }} as sessions
left join {{ ref('int_visits') }} as visits on sessions.session_id = visits.session_id
left join {{ ref('identity_map') }} as identity_map
    on
        sessions.shop = identity_map.shop
        and sessions.client_id = identity_map.identifier
        and identity_map.identifier_kind = 'client'
where visits.journey_id is null or visits.journey_id <> identity_map.journey_id

union all

select visits.session_id
from {{ ref('int_visits') }} as visits
left join {{ ref('int_sessions') }} as sessions on visits.session_id = sessions.session_id
where sessions.session_id is null
