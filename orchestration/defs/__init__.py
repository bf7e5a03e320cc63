"""The graph, a file per stage: ingestion ▶ transformation ▶ publication, and what starts and equips them."""
