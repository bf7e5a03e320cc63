"""Channels: campaigns, click ids, referrers, and returns from other sites.

Each case is a separate client with one landing page, or two visits where the second one comes back from a payment.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from ingestion.shops import Channel
from tests.stores.conftest import Store

SHOP = """timezone = "Europe/Berlin"
currency = "EUR"
hosts = ["www.lamps.example", "checkout.lamps-pay.example"]

[shops.channels]
"Blog.Partner.example" = "affiliates"
"light-club" = "email"
"Store_Flyer" = "other campaign"
"acs.smallbank.example" = "direct"
"""

GOOGLE, FACEBOOK = "https://www.google.com/", "https://l.facebook.com/"
START = datetime(2026, 11, 22, 9, tzinfo=UTC)

# query string of the landing page, referrer ▶ channel
CASES = [
    # click ids
    ("?gclid=Cj0", "", "paid search"),
    ("?gclid=Cj0", GOOGLE, "paid search"),
    ("?GCLID=Cj0", GOOGLE, "paid search"),
    ("?gclid=", GOOGLE, "organic search"),
    ("?notgclid=1", "", "direct"),
    ("?gad_source=1&gbraid=0AA", "", "paid search"),
    ("?wbraid=Cm", "", "paid search"),
    ("?msclkid=9f", "https://www.bing.com/", "paid search"),
    ("?yclid=77", "https://yandex.ru/", "paid search"),
    ("?ysclid=lx", "", "organic search"),
    ("?srsltid=Af", "", "organic search"),
    ("?dclid=CO", "", "display"),
    ("?ttclid=E.C", "", "paid social"),
    ("?twclid=2-1", "https://t.co/", "paid social"),
    ("?li_fat_id=ab", "", "paid social"),
    ("?ScCid=3f", "", "paid social"),
    ("?epik=dj0", "https://www.pinterest.de/", "paid social"),
    ("?rdt_cid=51", "", "paid social"),
    ("?fbclid=IwAR", "", "organic social"),
    ("?fbclid=IwAR&gclid=Cj0", "", "paid search"),
    ("?igsh=MWg", "", "organic social"),
    ("?mc_cid=1&mc_eid=2", "", "email"),
    ("?_kx=abc.Xy", "", "email"),
    ("?awc=1_2_3", "https://www.awin1.com/", "affiliates"),
    ("?irclickid=xyz", "", "affiliates"),
    ("?utm_source=google&utm_medium=product_sync&utm_campaign=sag_organic", "", "organic search"),
    ("?utm_source=google&utm_medium=product_sync&utm_campaign=sag_organic&gclid=Cj0", "", "paid search"),
    ("?utm_source=weekly&utm_medium=email&fbclid=IwAR", FACEBOOK, "email"),
    # paid media, by source
    ("?utm_source=facebook&utm_medium=cpc", "", "paid social"),
    ("?utm_source=Facebook&utm_medium=CPC&utm_campaign=shop_now", "", "paid social"),
    ("?utm_source=fb&utm_medium=paid", FACEBOOK, "paid social"),
    ("?utm_source=ig-stories&utm_medium=cpm", "", "paid social"),
    ("?utm_source=facebook_mobile_feed&utm_medium=ppc", "", "paid social"),
    ("?utm_source=pinterest&utm_medium=retargeting", "", "paid social"),
    ("?utm_source=m.facebook.com&utm_medium=cpc", "", "paid social"),
    ("?utm_source=https://www.instagram.com/&utm_medium=cpc", "", "paid social"),
    ("?utm_source=linkedin&utm_medium=paid-social", "", "paid social"),
    ("?utm_source=agency&utm_medium=paid_social", "", "paid social"),
    ("?utm_source=agency&utm_medium=cpc&fbclid=IwAR", "", "paid social"),
    ("?utm_source=agency&utm_medium=cpc", GOOGLE, "paid search"),
    ("?utm_source=agency&utm_medium=cpc", "", "paid other"),
    ("?utm_source=bing&utm_medium=cpc", "", "paid search"),
    ("?utm_source=google&utm_medium=Paid%20Search", "", "paid search"),
    ("?utm_source=google&utm_medium=sem", "", "paid search"),
    ("?utm_source=google&utm_medium=cpc&utm_campaign=eu_shopping_brand", "", "paid shopping"),
    ("?utm_source=google&utm_medium=cpc&utm_campaign=workshop", "", "paid search"),
    ("?utm_source=google&utm_medium=cpc&utm_campaign=cross-network", "", "cross-network"),
    ("?utm_source=amazon&utm_medium=cpc", "", "paid shopping"),
    ("?utm_source=youtube&utm_medium=paid_video", "", "paid video"),
    ("?utm_source=youtube&utm_medium=cpv", "", "paid video"),
    ("?utm_source=criteo&utm_medium=remarketing", "", "paid other"),
    ("?utm_source=adnet&utm_medium=banner", "", "display"),
    ("?utm_source=adnet&utm_medium=cpm", "", "display"),
    # other media
    ("?utm_source=google&utm_medium=organic", GOOGLE, "organic search"),
    ("?utm_source=instagram&utm_medium=organic", "", "organic social"),
    ("?utm_source=tiktok&utm_medium=bio", "", "organic social"),
    ("?utm_source=anything&utm_medium=Social-Network", "", "organic social"),
    ("?utm_source=vimeo&utm_medium=video", "", "organic video"),
    ("?utm_source=fans&utm_medium=newsletter", "", "email"),
    ("?utm_source=klaviyo&utm_medium=campaign", "", "email"),
    ("?utm_source=Klaviyo&utm_medium=flow", "", "email"),
    ("?utm_source=attentive&utm_medium=sms", "", "sms"),
    ("?utm_source=pushowl&utm_medium=web_push", "", "mobile push notifications"),
    ("?utm_source=hosts&utm_medium=podcast", "", "audio"),
    ("?utm_source=awin&utm_medium=affiliate", "", "affiliates"),
    ("?utm_source=friend&utm_medium=referral", "https://friend.example/", "referral"),
    ("?utm_source=facebook&utm_medium=referral", FACEBOOK, "organic social"),
    ("?utm_source=chatgpt.com", "", "ai assistant"),
    ("?utm_source=flyer&utm_medium=qr", "", "other campaign"),
    ("?utm_source=flyer", FACEBOOK, "organic social"),
    ("?utm_source=(direct)&utm_medium=(none)", "", "direct"),
    ("?utm_source=paypal", "", "other campaign"),
    ("?utm_source=google.spam.example&utm_medium=cpc", "", "paid other"),
    ("?utm_source=x", "", "organic social"),
    ("?utm_source=x-mas-mailing", "", "other campaign"),
    # position of the campaign
    ("?utm_campaign=autumn", "", "other campaign"),
    ("?utm_id=42", "", "other campaign"),
    ("?utm_campaign=autumn", GOOGLE, "organic search"),
    ("?UTM_Source=fans&Utm_MEDIUM=E-Mail", "", "email"),
    ("?a=1&amp;utm_source=fans&amp;utm_medium=email", "", "email"),
    ("#utm_source=fans&utm_medium=email", "", "email"),
    ("?ref=home?utm_source=google&utm_medium=cpc", "", "paid search"),
    ("?utm_source=&utm_source=google&utm_medium=cpc", "", "paid search"),
    ("?utm_source=&utm_medium=&utm_campaign=", GOOGLE, "organic search"),
    ("?utm_source=%FF%FE&utm_medium=%", "", "other campaign"),
    ("?utm_source=%E4&utm_medium=%65mail", "", "email"),
    (f"?utm_source={'%41' * 2000}&utm_medium=email", "", "email"),
    # referrers
    ("", "", "direct"),
    ("", "https://www.google.co.uk/search?q=lamp", "organic search"),
    ("", "HTTPS://WWW.GOOGLE.DE/", "organic search"),
    ("", "https://www.google.com.:443/", "organic search"),
    ("", "https://images.google.com.au/", "organic search"),
    ("", "https://google.free-lamps.example/", "referral"),
    ("", "https://www.google.com.evil.example/", "referral"),
    ("", "https://notgoogle.com/", "referral"),
    ("", "https://mygoogle.com/", "referral"),
    ("", "https://google.web.app/", "referral"),
    ("", "https://evil.example/?https://www.google.com/", "referral"),
    ("", "https://www.google.com@evil.example/", "referral"),
    ("", "https://facebook.com.login.example/", "referral"),
    ("", "https://myt.co/", "referral"),
    ("", "https://docs.google.com/document/d/1", "referral"),
    ("", "https://sites.google.com/view/lamps", "referral"),
    ("", "https://mail.google.com/", "email"),
    ("", "https://outlook.live.com/mail/", "email"),
    ("", "https://mail.yahoo.co.jp/", "email"),
    ("", "https://de.search.yahoo.com/", "organic search"),
    ("", "https://search.seznam.cz/", "organic search"),
    ("", "https://duckduckgo.com/", "organic search"),
    ("", "https://www.perplexity.ai/", "ai assistant"),
    ("", "https://gemini.google.com/", "ai assistant"),
    ("", "https://news.google.com/", "organic search"),
    ("", "https://search.app/", "organic search"),
    ("", "https://l.threads.com/", "organic social"),
    ("", "https://www.threads.net/", "organic social"),
    ("", "https://out.reddit.com/", "organic social"),
    ("", "https://t.co/abc", "organic social"),
    ("", "https://vk.com/", "organic social"),
    ("", "https://www.pinterest.co.uk/", "organic social"),
    ("", "https://m.youtube.com/", "organic video"),
    ("", "https://www.ebay.co.uk/", "organic shopping"),
    ("", "https://www.awin1.com/cread.php", "affiliates"),
    ("", "https://lamps-blog.example/best", "referral"),
    ("", "android-app://com.google.android.googlequicksearchbox/", "organic search"),
    ("", "android-app://com.google.android.googlequicksearchbox/https/www.google.com", "organic search"),
    ("", "android-app://com.google.android.gm/", "email"),
    ("", "android-app://com.facebook.katana/", "organic social"),
    ("", "android-app://com.reddit.frontpage", "organic social"),
    ("", "android-app://org.telegram.messenger/", "organic social"),
    ("", "android-app://com.google.android.youtube/", "organic video"),
    ("", "android-app://com.somebody.reader/", "referral"),
    ("", "ios-app://284882215/fb", "organic social"),
    ("", "ios-app://544007664/vnd.youtube/www.youtube.com/watch", "organic video"),
    ("", "ios-app://999999999/", "referral"),
    ("", "https://com.facebook.example/", "referral"),
    ("", "chrome-extension://abcdef/", "direct"),
    ("", "about:blank", "direct"),
    ("", "not an address", "direct"),
    # the shop itself, and returns from other sites
    ("", "https://www.lamps.example/cart", "direct"),
    ("", "https://account.lamps.example/", "direct"),
    ("", "https://lamps.example/", "direct"),
    ("", "https://checkout.lamps-pay.example/", "direct"),
    ("", "https://channels.myshopify.com/", "direct"),
    ("", "https://other.myshopify.com/", "referral"),
    ("", "https://spamlamps.example/", "referral"),
    ("", "https://www.paypal.com/", "direct"),
    ("", "https://pay.klarna.com/", "direct"),
    ("", "https://shop.app/pay", "direct"),
    ("", "https://hooks.stripe.com/redirect", "direct"),
    ("", "https://portal.afterpay.com/", "direct"),
    ("", "https://payments.amazon.de/", "direct"),
    ("", "https://www.mollie.com/", "direct"),
    ("", "https://live.adyen.com/", "direct"),
    ("", "https://accounts.google.com/", "direct"),
    ("", "https://accounts.google.de/", "direct"),
    ("", "https://www.sofort.com/", "direct"),
    ("", "https://paypal.com.phish.example/", "referral"),
    ("", "https://klarna.com.example/", "referral"),
    ("/checkouts/cn/abc/thank-you", "https://3ds.unheard-of-bank.example/", "direct"),
    ("/checkout", "https://3ds.unheard-of-bank.example/", "direct"),
    ("/pages/checkout-help", "https://blog.example/", "referral"),
    ("/en-de/checkouts/cn/abc", "https://3ds.unheard-of-bank.example/", "direct"),
    ("/checkouts/ac/abc/recover?key=1", "https://webmail.example/", "referral"),
    ("/checkouts/ac/abc/recover?key=1&utm_medium=email", "", "email"),
    # overrides by the merchant
    ("", "https://blog.partner.example/", "affiliates"),
    ("", "https://de.blog.partner.example/", "affiliates"),
    ("", "https://partner.example/", "referral"),
    ("?utm_source=light-club&utm_medium=cpc", "", "email"),
    ("?utm_source=Light-Club", GOOGLE, "email"),
    ("?utm_source=google&utm_medium=store-flyer", "", "other campaign"),
    ("?utm_source=google&utm_medium=cpc", "https://blog.partner.example/", "paid search"),
    ("", "https://acs.smallbank.example/", "direct"),
]

# path ▶ is it the home page?
PAGES = {
    "/": True,
    "/fr": True,
    "/fr/": True,
    "/en-ca": True,
    "/EN-CA/": True,
    "/zh-hans": True,
    "/zh-hant-tw/": True,
    "/es-419": True,
    "/fil": True,
    "/cart": False,
    "/index": False,
    "/all": False,
    "/on-sale": False,
    "/fr/cart": False,
    "/pages/about": False,
    "/products/fr": False,
}


def _page(client: str, address: str, referrer: str, at: datetime, **location: str | None) -> dict[str, Any]:
    path, _, query = address.partition("?")
    path, _, fragment = path.partition("#")
    query = query.partition("#")[0]
    place = {
        "href": f"https://www.lamps.example{address}",
        "pathname": path or "/",
        "search": f"?{query}" if query else "",
        "hash": fragment,
    } | location
    return {
        "id": f"{client}-{at.timestamp():.0f}",
        "clientId": client,
        "name": "page_viewed",
        "timestamp": at.isoformat(),
        "type": "standard",
        "context": {
            "document": {
                "referrer": referrer,
                "title": "Lamps",
                "location": {key: value for key, value in place.items() if value is not None},
            },
            "navigator": {"userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0.0.0 Safari/537.36"},
        },
        "data": {},
    }


def _landing(client: str, more: str, referrer: str) -> dict[str, Any]:
    return _page(client, more if more.startswith("/") else f"/{more}", referrer, START)


def _events() -> list[dict[str, Any]]:
    events = [_landing(f"case-{number}", more, referrer) for number, (more, referrer, _) in enumerate(CASES)]
    campaign = "/?utm_source=google&utm_medium=cpc&utm_campaign=Gr%C3%BC%C3%9Fe+%26+mehr"
    events += [_page("in-href", campaign, "", START, search=None)]
    events += [_page("in-search", campaign, "", START, href="https://www.lamps.example/")]
    for number, provider in enumerate(("https://www.paypal.com/", "https://3ds.some-bank.example/")):
        client, back = f"payer-{number}", START + timedelta(minutes=45)
        events += [_page(client, campaign, GOOGLE, START)]
        events += [_page(client, "/checkouts/cn/1/thank-you", provider, back)]
        product = {"id": "11", "price": {"amount": 10, "currencyCode": "EUR"}, "product": {"id": "1", "title": "Lamp"}}
        lines = [{"id": "1", "title": "Lamp", "quantity": 1, "variant": product, "finalLinePrice": {"amount": 10}}]
        checkout = {
            "token": f"token-{number}",
            "currencyCode": "EUR",
            "order": {"id": f"{7000 + number}"},
            "lineItems": lines,
            "subtotalPrice": {"amount": 10, "currencyCode": "EUR"},
            "totalPrice": {"amount": 10, "currencyCode": "EUR"},
        }
        bought = _page(client, "/checkouts/cn/1/thank-you", provider, back + timedelta(seconds=6))
        events += [bought | {"name": "checkout_completed", "data": {"checkout": checkout}}]
    for number, path in enumerate(PAGES):
        viewed = _page(f"page-{number}", "/products/lamp", "", START + timedelta(minutes=1))
        events += [_page(f"page-{number}", path, "", START)]
        events += [viewed | {"name": "product_viewed", "data": {"productVariant": {"product": {"id": "1"}}}}]
    return events


EVENTS = _events()


@pytest.fixture
def channels(store: Store) -> dict[str, str]:
    """The channel of each client's session."""
    return dict(store.query("select client_id, channel from core.sessions where shop = '{shop}'"))


def test_every_arrival_has_its_channel(channels: dict[str, str]) -> None:
    wrong = [
        (*case, channels[f"case-{number}"])
        for number, case in enumerate(CASES)
        if channels[f"case-{number}"] != case[2]
    ]
    assert not wrong


def test_merchants_can_use_every_channel_of_the_seed(store: Store) -> None:
    named = {channel for (channel,) in store.query("select distinct channel from seeds.channel_rules")}
    assert named <= set(get_args(Channel))
    assert {channel for _, _, channel in CASES} == set(get_args(Channel))


def test_campaigns_are_decoded_in_every_position(store: Store) -> None:
    found = store.query(
        "select distinct utm_source, utm_medium, utm_campaign, channel from core.sessions "
        "where shop = '{shop}' and client_id in ('in-href', 'in-search')"
    )
    assert found == [("google", "cpc", "Grüße & mehr", "paid search")]


def test_undecodable_campaigns_are_kept_unchanged(store: Store) -> None:
    found = store.query("select utm_source from core.sessions where shop = '{shop}' and contains(utm_source, '%FF')")
    assert found == [("%FF%FE",)]


def test_referrer_host_or_app_is_kept(store: Store) -> None:
    hosts = {host for (host,) in store.query("select referrer_host from core.sessions where shop = '{shop}'")}
    assert {"www.google.com", "com.google.android.gm", "284882215", "www.paypal.com", "evil.example"} <= hosts
    assert not {"www.lamps.example", "account.lamps.example", "channels.myshopify.com"} & hosts


def test_returns_from_payment_do_not_change_the_channel(store: Store) -> None:
    found = store.query(
        "select client_id, channel, last_non_direct_channel from core.sessions "
        "where shop = '{shop}' and checkouts_completed = 1 order by client_id"
    )
    assert found == [("payer-0", "direct", "paid search"), ("payer-1", "direct", "paid search")]
    credited = store.query(
        "select last_non_direct_channel, sum(purchased_open) from analytics.funnel_daily "
        "where shop = '{shop}' and purchased_open > 0 group by last_non_direct_channel"
    )
    assert credited == [("paid search", 2)]


def test_market_home_pages_are_home_pages(store: Store) -> None:
    paths = dict(store.query("select client_id, path from core.sessions where shop = '{shop}'"))
    found = {path: paths[f"page-{number}"] for number, path in enumerate(PAGES)}
    assert found == {path: "home > product" if is_home else "product" for path, is_home in PAGES.items()}
