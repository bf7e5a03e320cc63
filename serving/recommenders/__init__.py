"""Recommenders that need linear algebra, which SQL does badly.

Read tables of the warehouse after dbt has built them, write rows of `recommendations` for publication.
"""
