select
    user_agent,
    is_bot,
    device
from {{ source('pixel', 'user_agents') }}
