"""Pipeline: whether the numbers are fresh and complete: events, quarantine, fetches, reconciliation, runs, versions."""

from datetime import UTC, datetime

import streamlit as st

from serving.dashboard.figures import NOTHING_YET, cards, series, table
from serving.dashboard.formats import UNKNOWN, number_text
from serving.dashboard.view import View
from serving.published import published_folder
from serving.runs import published_runs

CARDS = (
    *("accepted_events", "quarantined_events", "unknown_consent_share", "late_event_share"),
    *("longest_delay", "missing_order_share"),
)
PRIVACY_REQUESTS = """
select
    topic as "Topic",
    requested_at as "Requested, UTC",
    due_at as "Due, UTC",
    status as "Status",
    fulfilled_at as "Fulfilled, UTC"
from operations.privacy_requests
where shop = $shop
order by requested_at desc
"""


def render(view: View) -> None:
    """Freshness first, then received, rejected and missing data."""
    manifest = view.store.published.manifest
    age = (datetime.now(UTC) - datetime.fromisoformat(manifest.published_at)).total_seconds()
    st.markdown(
        f"Version **{manifest.version}** was published {number_text(age, 'seconds')} ago, with "
        f"{f'events until {view.shop.as_of:%Y-%m-%d %H:%M} UTC' if view.shop.has_events else 'no events'}."
    )
    cards(view, CARDS)
    series(view, "accepted_events")
    for name in ("event-volume", "quarantine", "fetches", "reconciliation", "reconciliation-causes"):
        table(view, name)
    _privacy_requests(view)
    _runs(view)
    _versions(view)


def _privacy_requests(view: View) -> None:
    """Requests about a person's data; nothing if there are none, or if older code published the version."""
    if not view.store.published.manifest.rows_by_table.get("operations.privacy_requests"):
        return
    found = view.store.query(view.shop.shop, PRIVACY_REQUESTS)
    if not found.rows:
        return
    st.markdown(
        "#### Privacy requests", help="Requests to erase or export a person's data, from Shopify or the operator."
    )
    st.dataframe(
        dict(zip(found.columns, zip(*found.rows, strict=True), strict=True)),
        hide_index=True,
        width="stretch",
        placeholder=UNKNOWN,
    )


def _runs(view: View) -> None:
    st.markdown("#### Recent runs", help="The pipeline's runs up to the newest one, which published this version.")
    runs = published_runs(view.store.published)
    if not runs:
        st.info(NOTHING_YET)
        return
    st.dataframe(
        {
            "Started, UTC": [run.started_at for run in runs],
            "Ended, UTC": [run.ended_at for run in runs],
            "Took": [number_text(run.seconds, "seconds") for run in runs],
            "Job": [run.job for run in runs],
            "Status": [run.status for run in runs],
            "Failed step": [run.failed_step for run in runs],
        },
        hide_index=True,
        width="stretch",
        placeholder=UNKNOWN,
    )


def _versions(view: View) -> None:
    st.markdown("#### Published versions")
    folder = published_folder(view.store.published.folder.parent.parent)
    names = sorted((path.name for path in folder.iterdir() if path.is_dir() and path.name[0].isdigit()), reverse=True)
    st.dataframe({"Version": names, "Shown": [name == view.store.version for name in names]}, hide_index=True)
