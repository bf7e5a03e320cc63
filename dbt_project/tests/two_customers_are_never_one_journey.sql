select journey_id
from {{ ref('identity_map') }}
where identifier_kind = 'customer'
group by journey_id
having count(*) > 1
