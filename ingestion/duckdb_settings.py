"""DuckDB settings for loading.

Reads the environment (PIXELNOVA_MEMORY); returns the settings of every connection that moves events.
"""

import os
from typing import Any

MEMORY_VARIABLE = "PIXELNOVA_MEMORY"


def loading_settings() -> dict[str, Any]:
    """Settings by name. Row order is not needed; giving it up halves the load time and fills the row groups."""
    settings: dict[str, Any] = {"preserve_insertion_order": False}
    if memory := os.environ.get(MEMORY_VARIABLE):
        settings["memory_limit"] = memory
    return settings
