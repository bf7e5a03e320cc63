"""What SQL models badly: recommenders that are linear algebra.

Tables of the warehouse flow in, after dbt has built them; rows of `recommendations` flow out, to be published.
"""
