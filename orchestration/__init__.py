"""Says when: the Dagster graph over ingestion, dbt and serving, and the `pixelnova` command.

The only package that imports Dagster; nothing imports it.
"""
