"""A simulated store with shoppers, for the demo, tests and experiments.

From a seed, generates pixel events as the pixel would send them, and the catalogue as the Admin API would return it.
"""
