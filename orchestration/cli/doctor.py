"""The command `doctor`: checks the installation and prints a remedy for everything that is wrong."""

from datetime import UTC, datetime

from orchestration.cli.terminal import print_finding
from orchestration.errors import OrchestrationError


class NotHealthy(OrchestrationError):
    """Checks failed; the findings were printed, the message says how many failed."""


def doctor() -> None:
    """Check the installation: one line per part (✓ ok, ! warning, ✗ problem), with a remedy."""
    from orchestration.doctor import check_installation

    failed = 0
    for finding in check_installation(datetime.now(UTC)):
        failed += finding.verdict == "failed"
        print_finding(finding, unknown="!")
    if failed:
        checks = "1 check" if failed == 1 else f"{failed} checks"
        raise NotHealthy(f"{checks} failed: follow the remedies above, then run this again.")
