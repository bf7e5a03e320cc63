"""The base of all errors that serving raises for its user.

The command prints their message without a traceback.
"""


class ServingError(Exception):
    """An error whose message names the fact and the remedy."""
