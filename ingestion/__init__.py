"""Everything up to the raw tables.

Shopper events and Shopify's catalogue flow in; landing files and raw schemas in the warehouse come out.
"""

import os

# dlt reads these once, when it is first used, which is when a module here declares a source: so they are said here.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
os.environ["LOAD__DELETE_COMPLETED_JOBS"] = "true"  # else dlt keeps a second copy of every event
