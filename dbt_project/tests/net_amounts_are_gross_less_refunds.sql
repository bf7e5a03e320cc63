select order_key
from {{ ref('orders') }}
where
    (cancelled_at is not null and net_total_amount <> 0)
    or (cancelled_at is null and net_total_amount <> gross_total_amount - coalesce(refunded_amount, 0))
