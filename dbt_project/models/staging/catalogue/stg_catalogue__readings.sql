-- Older readings do not record completeness; they count as complete. A load that was killed after its commit is loaded
-- again, so rows may be duplicated.
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
