"""Everything up to the raw tables.

Reads shopper events and Shopify's catalogue; writes landing files and the raw schemas of the warehouse.
"""

import os

# Set here because dlt reads these once, on first use: when a module of this package declares a source.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
os.environ["RUNTIME__INTERCEPT_SIGNALS"] = "false"  # else a Ctrl-C in the last moments of a load is forgotten
os.environ["LOAD__DELETE_COMPLETED_JOBS"] = "true"  # else dlt keeps a second copy of every event
