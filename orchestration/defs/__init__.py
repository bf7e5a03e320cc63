"""The asset graph, one file per stage (ingestion ▶ transformation ▶ publication); checks, jobs and what starts them."""
