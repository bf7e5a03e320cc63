"""A store that does not exist, with shoppers who behave: for the demo, for tests, and for trying things out.

A seed flows in; pixel events as the pixel would send them, and the catalogue as the Admin API would answer, flow out.
"""
