"""Every number that a page, an API or a report shows: the metric catalogue and the reports, applied to a published version."""
