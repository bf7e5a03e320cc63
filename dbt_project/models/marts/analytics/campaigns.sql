{{ session_values_by(['channel', 'utm_source', 'utm_medium', 'utm_campaign']) }}
