"""Experiments: which variation sold more, and how certain that is.

Reads sums that dbt computed in one pass, writes the results of `experiments` for publication.
"""
