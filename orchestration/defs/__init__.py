"""The asset graph, one file per stage (ingestion ▶ transformation ▶ publication), schedules and resources."""
