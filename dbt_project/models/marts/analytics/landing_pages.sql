{{ session_values_by(['landing_path']) }}
