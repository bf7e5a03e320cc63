"""The base of every error that this package raises.

Callers that report errors catch this one class; each message states the problem and, where known, the fix.
"""


class IngestionError(Exception):
    """Base class of all errors of the ingestion package."""
