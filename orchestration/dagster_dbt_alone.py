"""Imports dagster-dbt without importing dbt.

Reads nothing, writes nothing. dagster-dbt also works without dbt in its process: it uses the manifest and the `dbt`
command. But if dbt is installed, dagster-dbt imports all of it, which takes longer than importing Dagster, in every
process that loads the definitions. The definitions do not need it: dbt runs as a child process.
"""

import sys

_HIDDEN = "dbt.version"  # the module that dagster-dbt looks for

if _HIDDEN not in sys.modules:
    sys.modules[_HIDDEN] = None  # type: ignore[assignment]  # importing it raises ImportError
try:
    from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, DbtProject, dbt_assets
finally:
    if sys.modules[_HIDDEN] is None:
        del sys.modules[_HIDDEN]

__all__ = ["DagsterDbtTranslator", "DbtCliInvocation", "DbtCliResource", "DbtProject", "dbt_assets"]
