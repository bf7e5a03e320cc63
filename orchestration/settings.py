"""Where this installation keeps its things.

Two environment variables flow in, so that child processes (the collector, dbt, Dagster's runs) agree with their parent:
PIXELNOVA_DATA (default: data/ of the project) and PIXELNOVA_SHOPS (default: shops.toml of the project).
"""

import os
import sys
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
EXECUTABLES = Path(sys.executable).parent  # of this environment, whether or not it is activated
DATA_VARIABLE = "PIXELNOVA_DATA"
SHOPS_VARIABLE = "PIXELNOVA_SHOPS"


def data_folder() -> Path:
    """The data folder: landing files, warehouse, published versions, run history."""
    return Path(os.environ.get(DATA_VARIABLE, PROJECT_ROOT / "data")).resolve()


def shops_file() -> Path:
    """The file that describes the stores."""
    return Path(os.environ.get(SHOPS_VARIABLE, PROJECT_ROOT / "shops.toml")).resolve()
