{#- The landing files that this run processes: those not in its ledger, however old, so late files are not skipped. -#}

select
    files.landing_file,
    files.load_id
from {{ ref('stg_pixel__landing_files') }} as files
{% if not first_build() %}
    -- Also by load: a file that was repaired and reloaded is read again.
    left join {{ stored('int_landing_files_processed') }} as processed
        on
            files.landing_file = processed.landing_file
            and files.load_id = processed.load_id
    where processed.landing_file is null
{% endif %}
