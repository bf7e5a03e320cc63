"""What `pixelnova refresh` imports, for a process that is forked once for each refresh."""

import serving.experiments.results
import serving.recommenders.personal
from orchestration import cli, run_history, runner
from orchestration.cli import summary
from orchestration.definitions import defs

__all__ = ["cli", "run_history", "runner", "serving", "summary"]
defs()
