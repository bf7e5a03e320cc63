"""The Dagster graph over ingestion, dbt and serving, and the `pixelnova` command.

The only package that imports Dagster. No other package imports this one.
"""
