"""Experiments: which variation sold more, and how certain that is.

Reads one-pass sums of the warehouse after dbt has built them, writes the results of `experiments` for publication.
"""
