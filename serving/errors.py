"""The base of this package's exceptions.

Callers that only report errors catch `ServingError`; its message states what failed and what to do.
"""


class ServingError(Exception):
    """Something in serving failed; the message states the fact and the remedy."""
