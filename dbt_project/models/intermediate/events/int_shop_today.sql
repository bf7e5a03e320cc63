{#- The date of as_of in each shop's timezone, which is the last day of "the last 30 days". -#}

select
    shops.shop,
    {{ local_date('as_of.as_of', 'shops.timezone') }} as today
from {{ ref('shops') }} as shops
left join {{ ref('int_as_of') }} as as_of on shops.shop = as_of.shop
