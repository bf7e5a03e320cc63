"""The dashboard's script, which Streamlit runs for every interaction.

Reads who the user is and what they chose, shows one page. `server.py` starts it.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec

import streamlit as st

from serving.dashboard.access import Shops, access_of_environment
from serving.dashboard.controls import chosen_view
from serving.dashboard.environment import DATA_VARIABLE
from serving.dashboard.screens import (
    experiments,
    funnel,
    journeys,
    overview,
    pipeline,
    products,
    recommendations,
    visitors,
)
from serving.dashboard.view import View, open_stores
from serving.errors import ServingError
from serving.published import NothingPublished

NEW_VERSION_SECONDS = 15
NO_EVENTS = "No usable events have been received from this shop yet."
# Streamlit truncates long labels and amounts on cards, and breaks long titles within a word; here they wrap.
STYLE = """<style>
[data-testid=stMetricLabel] *, [data-testid=stMetricValue] * {
    white-space: normal !important; overflow-wrap: break-word;
}
[data-testid=stMetricValue] { font-size: 1.6rem; }
h1 { font-size: clamp(1.9rem, 8vw, 2.75rem) !important; }
</style>"""
PAGES: dict[str, tuple[str, Callable[[View], None]]] = {
    "overview": ("Overview", overview.render),
    "funnel": ("Funnel", funnel.render),
    "products": ("Products", products.render),
    "visitors": ("Visitors", visitors.render),
    "journeys": ("Journeys", journeys.render),
    "recommendations": ("Recommendations", recommendations.render),
    "experiments": ("Experiments", experiments.render),
    "pipeline": ("Pipeline", pipeline.render),
}


def main() -> None:
    """Show the page that the URL names, for the shops that the reader may see."""
    st.set_page_config("Pixelnova", page_icon="🛍️", layout="wide")
    st.html(STYLE)
    page = st.navigation(  # its pages are not run as scripts: `render` needs the reader's choice
        [
            st.Page(f"screens/{path}.py", title=title, url_path=path, default=path == "overview")
            for path, (title, _) in PAGES.items()
        ]
    )
    visible = _visible_shops()
    try:
        store = open_stores(os.environ[DATA_VARIABLE]).newest(visible)
    except NothingPublished as error:
        st.info(f"{error}")
        return
    shops = store.shops()
    if not shops:
        st.warning("You have no access to any shop. Ask the operator of this dashboard to add you to its access file.")
        return
    title, render = PAGES[page.url_path or "overview"]
    st.title(title)
    _follow(visible, store.version)
    try:
        view = chosen_view(store, shops)
        if not view.shop.has_events:
            st.info(f"{NO_EVENTS} `pixelnova connect check {view.shop.shop}` shows what is missing.")
        render(view)
    except ServingError as error:
        st.error(str(error))


def _visible_shops() -> Shops:
    """The shops that the user may see; requires a login first, if one is configured."""
    access = access_of_environment()
    if access is None:
        return None
    if access.login == "header":
        identity = access.identity_from(st.context.headers, st.context.ip_address or "127.0.0.1")
        if identity is None:
            st.error("Open this dashboard through its proxy, which logs you in.")
            st.stop()
        return access.shops_of(identity)
    return access.shops_of(_address_logged_in())


def _address_logged_in() -> str | None:
    """The e-mail address of the logged-in user; None if the provider has not verified it."""
    if "is_logged_in" not in st.user:
        st.error("The login is not configured: add the provider to Streamlit's secrets.toml (docs/operations.md).")
        st.stop()
    if not st.user["is_logged_in"]:
        if find_spec("authlib") is None:
            st.error("The login needs Authlib: install pixelnova[dashboard].")
            st.stop()
        st.button("Log in", on_click=st.login)
        st.stop()
    with st.sidebar:
        st.button("Log out", on_click=st.logout)
    return str(st.user.get("email") or "") if st.user.get("email_verified") else None


@st.fragment(run_every=NEW_VERSION_SECONDS)
def _follow(visible: Shops, version: str) -> None:
    """Show a new version as soon as it is published, without a reload."""
    if open_stores(os.environ[DATA_VARIABLE]).newest(visible).version != version:
        st.rerun()


main()
