"""Every number that a page, an API or a report shows: metrics and reports, applied to a published version."""
