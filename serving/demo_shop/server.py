"""The demo shop's web server: a small shop that runs recommendations and the pixel without Shopify.

Reads published files, serves pages; their events reach the collector through the custom pixel, in a sandbox like
Shopify's.
"""

import asyncio
import signal
import socket
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from serving.demo_shop.shop import (
    MAX_QUANTITY,
    PER_PAGE,
    Cart,
    DemoShop,
    currency_of,
    product_facts,
    properties_of,
    tile,
    variant_id,
)
from serving.listening import listen
from serving.published import CURRENT, RECOMMENDATIONS, Product, published_folder

PAGES = Path(__file__).resolve().parent / "pages"
THEME_FILES = Path(__file__).resolve().parents[1] / "storefront"
ASSETS = {
    "pixelnova-recommendations.js": THEME_FILES,
    "storefront.css": PAGES,
    "storefront.js": PAGES,
    "pixel_manager.js": PAGES,
}
CART = "cart"  # the cookie
MAX_FORM_BYTES = 16 * 1024
FILES = f"/{RECOMMENDATIONS}"
BACKENDS_SECONDS = 10.0  # how long to wait for the API and the collector


def serve_storefront(
    host: str,
    port: int,
    published_data: Path,
    shop: str,
    pixel: str,
    recommendations_url: str | None,
    collector_url: str | None = None,
) -> None:
    """Run the demo shop until SIGINT or SIGTERM; print its address once the shop and its backends listen.

    Args:
        host: address to listen on.
        port: 0 takes a free one.
        published_data: the data folder.
        shop: the shop's domain, as published.
        pixel: the custom pixel's code, including the collector's address and the ingest key.
        recommendations_url: of the read API, ending with /v1; None reads lists from the published files.
        collector_url: of the collector, used only to wait for it.

    Raises:
        CannotListen: the port is taken.
        NothingPublished: nothing was published yet.
    """
    app = create_storefront(published_data, shop, pixel, recommendations_url)
    listener = listen(host, port)
    config = uvicorn.Config(app, ws="none", lifespan="off", log_level="warning", access_log=False)
    for number in (signal.SIGINT, signal.SIGTERM):  # exit 0: uvicorn raises the signal again after shutdown
        signal.signal(number, lambda *_: sys.exit(0))
    with listener:
        _Server(config, [url for url in (recommendations_url, collector_url) if url]).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Prints the shop's address once its backends listen too."""

    def __init__(self, config: uvicorn.Config, backends: list[str]) -> None:
        """backends: URLs that the shop's pages use."""
        super().__init__(config)
        self._backends = backends

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        unreachable = await self._unreachable_backends()
        if self.should_exit or not sockets:
            return
        for url in unreachable:
            print(f"{url} is not reachable: the shop's pages will not use it.", flush=True)  # noqa: T201
        host, port = sockets[0].getsockname()
        print(f"The shop: http://{host}:{port} (until Ctrl-C)", flush=True)  # noqa: T201

    async def _unreachable_backends(self) -> list[str]:
        """The backends that are not listening by the timeout."""
        unreachable, deadline = self._backends, time.monotonic() + BACKENDS_SECONDS
        while True:
            unreachable = [url for url in unreachable if not await _listens(url)]
            if not unreachable or self.should_exit or time.monotonic() > deadline:
                return unreachable
            await asyncio.sleep(0.1)


async def _listens(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, port), 1)
    except OSError:  # includes TimeoutError
        return False
    writer.close()
    return True


def create_storefront(published_data: Path, shop: str, pixel: str, recommendations_url: str | None) -> Starlette:
    """The application; arguments as in `serve_storefront`.

    Raises:
        NothingPublished: nothing was published yet.
    """
    return Storefront(DemoShop(published_data, shop), published_data, pixel, recommendations_url).app()


class Storefront:
    """The shop's pages."""

    def __init__(self, demo: DemoShop, data: Path, pixel: str, recommendations_url: str | None) -> None:
        demo.published()
        self._demo = demo
        self._files = published_folder(data) / CURRENT / RECOMMENDATIONS
        self._sandbox = (PAGES / "pixel_sandbox.js").read_text() + pixel
        self._source = (recommendations_url or FILES).rstrip("/")
        self._pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self._pages.globals |= {"variant_id": variant_id, "currency_of": currency_of}

    def app(self) -> Starlette:
        """The routes; cart and checkout have the same paths as on Shopify."""
        routes = [
            Route("/", self.home),
            Route("/products/{handle}", self.product),
            Route("/cart", self.cart),
            Route("/cart/add", self.add, methods=["POST"]),
            Route("/cart/add.js", self.add, methods=["POST"]),
            Route("/cart/change", self.change, methods=["POST"]),
            Route("/checkout", self.begin_checkout, methods=["POST"]),
            Route("/checkouts/cn/{token}", self.checkout),
            Route("/checkouts/cn/{token}/complete", self.complete, methods=["POST"]),
            Route("/checkouts/cn/{token}/thank-you", self.thank_you),
            Route("/assets/{name}", self.asset),
            Route("/pictures/{handle}", self.picture),
            Route(FILES + "/{path:path}", self.file),
        ]
        return Starlette(routes=routes, exception_handlers={404: self.not_found})

    async def home(self, request: Request) -> Response:
        """All products, paginated, popular ones first."""
        products = self._demo.products()
        pages = max(1, -(-len(products) // PER_PAGE))
        wanted = request.query_params.get("page", "1")
        number = min(max(int(wanted), 1), pages) if wanted.isdecimal() and len(wanted) < 9 else 1
        shown = products[(number - 1) * PER_PAGE : number * PER_PAGE]
        return self._page(request, "home.html", "All products", {}, products=shown, number=number, pages=pages)

    async def product(self, request: Request) -> Response:
        """One product with its recommendations."""
        product = self._demo.product(request.path_params["handle"])
        if product is None:
            return await self.not_found(request, None)
        facts = {"product": product_facts(product)}
        return self._page(request, "product.html", product.title or "A product", facts, product=product)

    async def cart(self, request: Request) -> Response:
        """The cart."""
        return self._page(request, "cart.html", "Your cart", {"viewed_cart": self._cart(request).facts()})

    async def add(self, request: Request) -> Response:
        """Add a product to the cart; a script gets the line as JSON, a form is redirected to the cart."""
        fields = await _fields(request)
        product = self._demo.product_of_variant(fields.get("id", ""))
        if product is None or product.price is None:
            return JSONResponse({"message": "This product is not for sale: choose another one."}, 422)
        cart = self._cart(request)
        line = cart.add(product, _quantity(fields.get("quantity", "1")) or 1, properties_of(fields))
        if request.url.path.endswith(".js"):
            return _with_cart_cookie(JSONResponse({**line.facts(), "cart_quantity": cart.quantity}), cart)
        cart.unreported.append(line)
        return _with_cart_cookie(RedirectResponse("/cart", 303), cart)

    async def change(self, request: Request) -> Response:
        """Set a line's quantity; 0 removes it."""
        fields, cart = await _fields(request), self._cart(request)
        quantity, number = _quantity(fields.get("quantity", "0")), _quantity(fields.get("line", "0"))
        if 1 <= number <= len(cart.lines):
            cart.lines[number - 1].quantity = quantity
            cart.lines = [line for line in cart.lines if line.quantity]
        return _with_cart_cookie(RedirectResponse("/cart", 303), cart)

    async def begin_checkout(self, request: Request) -> Response:
        """Redirect from the cart to its checkout."""
        cart = self._cart(request)
        return RedirectResponse(f"/checkouts/cn/{cart.checkout}" if cart.lines else "/cart", 303)

    async def checkout(self, request: Request) -> Response:
        """The checkout; it asks for no personal data."""
        cart = self._demo.of_checkout(request.path_params["token"])
        if cart is None or not cart.lines:
            return RedirectResponse("/cart", 303)
        return self._page(request, "checkout.html", "Checkout", {"checkout": cart.facts()}, bought=cart)

    async def complete(self, request: Request) -> Response:
        """Place the order; repeated requests have no effect."""
        cart = self._demo.of_checkout(request.path_params["token"])
        if cart is None or not cart.lines:
            return RedirectResponse("/cart", 303)
        self._demo.buy(cart)
        return RedirectResponse(f"/checkouts/cn/{cart.checkout}/thank-you", 303)

    async def thank_you(self, request: Request) -> Response:
        """The order confirmation."""
        cart = self._demo.of_checkout(request.path_params["token"])
        if cart is None or not cart.order_id:
            return RedirectResponse("/cart", 303)
        return self._page(request, "thank_you.html", "Thank you", {"bought": cart.facts()}, bought=cart)

    async def asset(self, request: Request) -> Response:
        """Scripts and the style sheet."""
        name = request.path_params["name"]
        if name not in ASSETS:
            return await self.not_found(request, None)
        return FileResponse(ASSETS[name] / name, headers={"cache-control": "no-cache"})

    async def picture(self, request: Request) -> Response:
        """A drawn placeholder image, so that pages need no image host."""
        product = self._demo.product(request.path_params["handle"])
        if product is None:
            return Response(status_code=404)
        svg = self._pages.get_template("picture.svg").render(tile(product))
        return Response(svg, media_type="image/svg+xml", headers={"cache-control": "no-cache"})

    async def file(self, request: Request) -> Response:
        """A public file of the newest version, as a CDN would serve it."""
        folder = self._files.resolve()
        path = (folder / request.path_params["path"]).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, headers={"cache-control": "public, max-age=60"})

    async def not_found(self, request: Request, _: Exception | None) -> Response:
        """The page for unknown paths."""
        return self._page(request, "not_found.html", "Page not found", {}, status=HTTPStatus.NOT_FOUND)

    def _cart(self, request: Request) -> Cart:
        return self._demo.cart(request.cookies.get(CART))

    def _page(
        self, request: Request, name: str, title: str, facts: dict[str, Any], status: int = HTTPStatus.OK, **more: Any
    ) -> Response:
        """facts: data for the page's scripts, which publish events; more: template variables."""
        cart = self._cart(request)
        product: Product | None = more.get("product")
        added, cart.unreported = [line.facts() for line in cart.unreported], []
        html = self._pages.get_template(name).render(
            title=title,
            shop=self._demo.shop,
            cart=cart,
            product_id=product.product_id if product else None,
            source=self._source,
            files=FILES,
            config={"shop": self._demo.shop, "sandbox": self._sandbox, "added": added, **facts},
            **more,
        )
        return _with_cart_cookie(HTMLResponse(html, status), cart)


async def _fields(request: Request) -> dict[str, str]:
    """A form's fields; empty if the body is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return {}
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _quantity(text: str) -> int:
    return min(int(text), MAX_QUANTITY) if text.isdecimal() and len(text) < 9 else 0


def _with_cart_cookie(response: Response, cart: Cart) -> Response:
    response.set_cookie(CART, cart.token, httponly=True, samesite="lax")
    return response
