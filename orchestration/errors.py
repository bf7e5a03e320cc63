"""The base of all errors that orchestration raises for its user.

The command prints their message without a traceback.
"""


class OrchestrationError(Exception):
    """An error whose message names the fact and the remedy. exit_code: of the command."""

    exit_code = 1
