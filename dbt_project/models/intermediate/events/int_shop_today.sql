{#- The date that each shop's clock shows at as_of: what "the last 30 days" end with. -#}

select
    shops.shop,
    {{ local_date('as_of.as_of', 'shops.timezone') }} as today
from {{ ref('shops') }} as shops
left join {{ ref('int_as_of') }} as as_of on shops.shop = as_of.shop
