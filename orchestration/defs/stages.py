"""What all assets of a stage have in common: the tag `stage`, who is responsible, and how fresh they must be."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg


@dataclass(frozen=True)
class Stage:
    """A part of the graph. freshness: None for what changes only when someone edits a file."""

    name: str
    owner: str
    freshness: dg.FreshnessPolicy | None

    @property
    def attributes(self) -> dict[str, Any]:
        """Arguments of an asset or a spec of this stage."""
        return {"owners": [self.owner], "tags": {"stage": self.name}, "freshness_policy": self.freshness}

    def of(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The spec as one of this stage; it keeps its own tags."""
        merged = spec.merge_attributes(owners=[self.owner], tags={"stage": self.name})
        return merged.replace_attributes(freshness_policy=self.freshness)


# The schedule skips hours in which nothing has changed, so a quiet night must not count as a failure. The sensor and
# the alerts watch how long files wait.
DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26), warn_window=timedelta(hours=3))

CONFIGURATION = Stage("configuration", "team:platform", None)
INGESTION = Stage("ingestion", "team:platform", DAILY)
TRANSFORMATION = Stage("transformation", "team:analytics", DAILY)
RECOMMENDATION = Stage("recommendation", "team:recommendations", DAILY)
EXPERIMENTATION = Stage("experimentation", "team:analytics", DAILY)
PUBLICATION = Stage("publication", "team:platform", DAILY)
