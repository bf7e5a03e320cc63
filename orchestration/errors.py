"""The base of all errors that orchestration raises for its user.

The command prints their message without a traceback.
"""


class OrchestrationError(Exception):
    """An error whose message says what happened and what to do. exit_code: the command's."""

    exit_code = 1
