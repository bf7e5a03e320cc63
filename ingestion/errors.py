"""The base of all errors that ingestion raises for its user.

The command prints their message without a traceback.
"""


class IngestionError(Exception):
    """An error whose message names the fact and the remedy."""
