"""Values that once broke a cast, a date or a join: each is used or refused, and all dbt tests pass."""

from tests.stores.events import cart_line, checkout, event, viewed

SHOP = 'timezone = "Pacific/Auckland"\ncurrency = "NZD"\n'

TIMESTAMPS = [
    *("294247-01-10T04:00:54.775806Z", "290309-12-22 (BC) 00:00:00Z", "infinity", "-infinity", "epoch", "now", "today"),
    *(
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "1969-12-31",
    ),
    *("2026-02-30T10:00:00Z", "2026-11-20T25:00:00Z", "2026-11-20T10:00:00+99:99", "20261120T100000Z", "1732000000000"),
    *("2026-W47-5", "10:00:00", "2026-11-20T10:00:00 Europe/Berlin", "a" * 5000, "2026-11-20T10:00:00.1234567890123Z"),
    *("２０２６-11-20T10:00:00Z", "2026-11-20T10:00:00Z\u0000", "-2026-11-20T10:00:00Z", "+002026-11-20T10:00:00Z"),
    *(0, -1, 1e300, True, None, [], {}, 10**40),
]
NUMBERS = [
    10**30,
    -(10**30),
    1e308,
    -1e308,
    1e-308,
    99_999_999_999_999,
    "NaN",
    "Infinity",
    "-0",
    "1e5",
    "1,50",
    True,
    [1],
]
TEXTS = [
    "",
    " ",
    "\u0000",
    "%",
    "%FF",
    "'; drop table",
    "\\",
    "a" * 3_000,
    "gid://",
    "Z2lkOi8v",
    "Z2lkOi8v====",
    "[",
    "{",
]
PATHS = [*TEXTS, "https://", "https://[::1", "http://a b/?utm_source=%E0%A4%A", "//", "?&=&", "android-app://"]

EVENTS = [
    *(event("page_viewed", "times", timestamp=value) for value in TIMESTAMPS),
    *(event("product_viewed", "prices", data=viewed("1", price=value)) for value in NUMBERS),
    *(event("product_added_to_cart", "quantities", data=cart_line("1") | {"x": 1}) for _ in range(1)),
    *(
        event(
            "product_added_to_cart",
            "quantities",
            data={
                "cartLine": {
                    **cart_line("1")["cartLine"],
                    "quantity": value,
                    "cost": {"totalAmount": {"amount": value}},
                }
            },
        )
        for value in NUMBERS
    ),
    *(
        event("checkout_completed", "amounts", data=checkout(f"t{n}", 100 + n, amount=value))
        for n, value in enumerate(NUMBERS)
    ),
    *(event("product_viewed", text, data=viewed(text, text)) for text in TEXTS),
    *(event("checkout_completed", text, data=checkout(text, text, customer=text)) for text in TEXTS),
    *(
        event(
            "page_viewed",
            "paths",
            context={"document": {"location": {"href": p, "pathname": p, "search": p}, "referrer": p, "title": p}},
        )
        for p in PATHS
    ),
    *(event("page_viewed", "agents", context={"navigator": {"userAgent": text}}) for text in TEXTS),
    *(event(text, "names") for text in TEXTS if 0 < len(text) <= 200),
    *(event("page_viewed", "sequences", seq=value) for value in [*NUMBERS, *TEXTS]),
    *(event("page_viewed", "types", type=value) for value in [*NUMBERS, *TEXTS]),
    event("page_viewed", "sane", timestamp="2026-11-20T10:00:00Z"),
]


def test_every_event_is_used_or_quarantined(store):
    assert store.query(
        "select (select count(*) from core.pixel_events where shop = '{shop}') "
        "+ (select count(*) from operations.quarantined_events where shop = '{shop}')"
    ) == [(len(EVENTS),)]


def test_only_invalid_times_are_refused(store):
    refused = store.query("select reason from operations.quarantined_events where shop = '{shop}'")
    assert len(refused) == len(TIMESTAMPS) - 1, refused  # digits below microseconds are truncated
    assert store.query(
        "select count(*) from core.pixel_events where shop = '{shop}' and client_id in ('sane', 'times')"
    ) == [(2,)]
