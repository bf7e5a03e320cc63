"""The command `doctor`: checks the installation and prints a remedy for everything that is wrong."""

from datetime import UTC, datetime

from orchestration.cli.terminal import print_finding
from orchestration.errors import OrchestrationError


class NotHealthy(OrchestrationError):
    """Checks failed; the findings were printed, the message says how many failed."""


def doctor() -> None:
    """Check the installation: a line for each part, ✓ right, ! worth a look, ✗ wrong, with the remedy."""
    from orchestration.doctor import check_installation

    failed = 0
    for finding in check_installation(datetime.now(UTC)):
        failed += finding.verdict == "failed"
        print_finding(finding, unknown="!")
    if failed:
        raise NotHealthy(f"{failed} checks failed: follow the remedies above, then run this again.")
