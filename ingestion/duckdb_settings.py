"""How DuckDB loads.

The environment flows in (PIXELNOVA_MEMORY); settings for every connection that moves events flow out.
"""

import os
from typing import Any

MEMORY_VARIABLE = "PIXELNOVA_MEMORY"


def loading_settings() -> dict[str, Any]:
    """Settings by name. Nobody needs the rows in order: without it a load takes half the time, in full row groups."""
    settings: dict[str, Any] = {"preserve_insertion_order": False}
    if memory := os.environ.get(MEMORY_VARIABLE):
        settings["memory_limit"] = memory
    return settings
