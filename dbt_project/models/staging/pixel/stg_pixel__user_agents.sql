select
    user_agent,
    is_bot,
    -- The rule that browser makers recommend: phones say Mobi, tablets are iPads or Androids that do not.
    case
        when {{ matches('user_agent', "'Mobi'") }} then 'mobile'
        when {{ matches('user_agent', "'iPad|Tablet|Android'") }} then 'tablet'
        else 'desktop'
    end as device
from {{ source('pixel', 'user_agents') }}
