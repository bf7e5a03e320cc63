"""What the definitions use of dagster-dbt, imported without dbt.

Reads nothing, writes nothing. dagster-dbt also works where dbt is not installed: it uses the manifest and the `dbt`
command. Where it is, dagster-dbt imports all of it, which takes longer than importing Dagster, in every process that
loads the definitions. Those never use it: dbt runs as a child process.
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
