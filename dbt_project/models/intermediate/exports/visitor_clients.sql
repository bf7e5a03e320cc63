select
    map.shop,
    map.identifier as client_id,
    map.journey_id
from {{ ref('identity_map') }} as map
inner join {{ ref('visitors') }} as visitors on map.journey_id = visitors.journey_id
where map.identifier_kind = 'client'
