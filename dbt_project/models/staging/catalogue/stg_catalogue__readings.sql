-- Older readings do not record completeness; they count as the whole catalogue. A load that was killed after it had
-- committed is loaded again, so rows may be there twice.
select distinct
    shop,
    file,
    fetched_at,
    cast(fetched_at as timestamp) as read_at,
    rows as rows_read,
    coalesce(is_complete, true) as is_complete,
    warning,
    error
from {{ source('catalogue', 'readings') }}
where {{ is_built('shop') }}
