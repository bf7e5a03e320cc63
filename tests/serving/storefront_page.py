"""A test page of a storefront with the snippet and mocked responses, in a real browser."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from serving.demo_shop.server import FILES, THEME_FILES

SNIPPET = THEME_FILES / "pixelnova-recommendations.js"
SITE = "https://shop.test"
CARD = """
    <h2>For you</h2>
    <ol><template><li>
        <a data-field="link"><img data-field="image"><b data-field="title"></b></a>
        <i data-field="price"></i>
        <small data-field="reason" data-session="Goes with it" data-popular="Popular" data-similar="Like it"></small>
    </li></template></ol>
"""
# Shopify's globals and hooks for the tests: one-second timers wait until aSecondPasses() is called.
SHOPIFY = """
    window.published = [];
    window.seconds = new Map();
    window.Shopify = {
        analytics: {publish: (name, data) => published.push({name, data})},
        customerPrivacy: {preferencesProcessingAllowed: () => MAY_STORE},
    };
    const {setTimeout: set, clearTimeout: clear} = window;
    window.setTimeout = (act, delay, ...more) => {
        if (delay !== 1000) return set(act, delay, ...more);
        const id = set(() => {}, 1e9);
        seconds.set(id, act);
        return id;
    };
    window.clearTimeout = (id) => { seconds.delete(id); clear(id); };
    window.aSecondPasses = () => { for (const [id, act] of seconds) { seconds.delete(id); act(); } };
"""


class Site:
    """A test page with mocked responses; the published files are under /recommendations."""

    def __init__(self, chromium, folder: Path | None) -> None:
        self.context = chromium.new_context()
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.answers: dict[str, object] = {}  # path ▶ body, status, or None: the request is aborted
        self._folder = folder
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.context.route("**/*", self._answer)

    def open(self, body: str, path: str = "/", may_store: bool = True):
        """Open a page with this body, and wait until every list is rendered or has failed."""
        self.put(body, path, may_store)
        self.page.goto(SITE + path)
        self.settle()
        return self.page

    def put(self, body: str, path: str, may_store: bool = True) -> None:
        """Serve a page with this body at a path."""
        shopify = SHOPIFY.replace("MAY_STORE", json.dumps(may_store))
        script = '<script src="/snippet.js" defer></script>'
        head = f"<meta charset=utf-8><script>{shopify}</script>{script}"
        self.answers[path] = f'<!doctype html><html lang="en-GB">{head}{body}'

    def settle(self) -> None:
        elements = "[...document.querySelectorAll('pixelnova-recommendations,[data-pixelnova]')]"
        self.page.evaluate(f"Promise.all({elements}.map((element) => element.drawn))")

    def shown(self) -> list[str]:
        """The visible titles."""
        return [title.text_content() for title in self.page.locator("[data-field=title]:visible").all()]

    def kept(self) -> dict[str, str]:
        """The contents of the browser's storages."""
        return self.page.evaluate("({...localStorage, ...sessionStorage})")

    def _answer(self, route) -> None:
        path = urlsplit(route.request.url).path
        self.asked.append(path)
        answer = self.answers.get(path, 404)
        if path == "/snippet.js":
            answer = SNIPPET.read_text()
        elif path not in self.answers and self._folder and path.startswith(FILES):
            file = self._folder / path.removeprefix("/")
            answer = file.read_text() if file.is_file() else 404
        if answer is None:
            route.abort()
        elif isinstance(answer, int):
            route.fulfill(status=answer, body='{"error": "no"}')
        else:
            kind = "text/html" if route.request.is_navigation_request() else "text/javascript"
            route.fulfill(body=answer if isinstance(answer, str) else json.dumps(answer), content_type=kind)
