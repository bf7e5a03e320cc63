select
    views.event_key,
    views.shop,
    sessionized.session_id,
    views.client_id,
    views.event_at as viewed_at,
    {{ local_date('views.event_at', "coalesce(shops.timezone, 'UTC')") }} as viewed_date,
    views.product_id,
    views.variant_id,
    views.sku,
    views.product_title,
    views.price,
    views.currency
from {{ ref('int_product_views') }} as views
left join {{ ref('int_events_sessionized') }} as sessionized on views.event_key = sessionized.event_key
left join {{ ref('shops') }} as shops on views.shop = shops.shop
