select
    order_item_id,
    order_key,
    shop,
    order_id,
    line_number,
    ordered_at,
    product_id,
    variant_id,
    sku,
    product_title,
    variant_title,
    quantity,
    unit_price,
    discount_amount,
    amount,
    currency
from {{ ref('int_order_lines') }}
