"""Made-up personal data in every known place and spelling, in events, a webhook and broken bodies.

Each value contains a mark that must not be found in what is stored.
"""

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

_numbers = itertools.count(5000)
_four_digits = itertools.cycle(range(5000, 9999))


class Marked(NamedTuple):
    """One body with personal data. marks: must not occur in what is stored, compared in lower case."""

    what: str
    body: Any
    marks: tuple[str, ...]


def event(data: Any = None, location: dict[str, Any] | None = None, **document: Any) -> dict[str, Any]:
    """A page view with these parts."""
    number = "".join("abcdefghij"[int(digit)] for digit in str(next(_numbers)))  # not digits: marks may be
    page = {"href": "https://shop.example/", "pathname": "/", "search": "", **(location or {})}
    return {
        "id": f"e-{number}",
        "name": "page_viewed",
        "clientId": "5f6b9a1e-0000-4000-a000-000000000001",
        "timestamp": "2026-11-22T10:00:00.000Z",
        "context": {"document": {"location": page, "referrer": "", "title": "A page", **document}},
        "data": data if data is not None else {},
    }


def mark() -> str:
    """A word that occurs once."""
    return f"zq{next(_numbers)}x"


E_MAIL_FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "percent": lambda text: text.replace("@", "%40"),
    "percent twice": lambda text: text.replace("@", "%2540"),
    "percent three times": lambda text: text.replace("@", "%252540"),
    "all percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "decimal entity": lambda text: text.replace("@", "&#64;"),
    "hexadecimal entity": lambda text: text.replace("@", "&#x40;"),
    "named entity": lambda text: text.replace("@", "&commat;"),
    "full width": lambda text: text.replace("@", "＠"),
    "small form": lambda text: text.replace("@", "﹫"),
    "invisible": lambda text: text.replace("@", "\u200b@\u200b"),
    "escape in the text": lambda text: text.replace("@", "\\u0040"),
    "short escape in the text": lambda text: text.replace("@", "\\x40"),
    "old percent escape": lambda text: text.replace("@", "%u0040"),
    "spelled": lambda text: text.replace("@", " (at) ").replace(".", " [dot] "),
    "apart": lambda text: text.replace("@", " @ "),
    "ideographic full stop": lambda text: text.replace(".", "。"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "capitals": str.upper,
    "mailto": lambda text: f"mailto:{text}?subject=hello",
    "in brackets": lambda text: f"Ada <{text}>, and others",
    "plus": lambda text: text.replace("@", "+shop@"),
}

TEXT_PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "customData": lambda text: event({"customData": {"detail": text}}),
    "list in customData": lambda text: event({"customData": {"all": [["x", {"deep": [text]}]]}}),
    "search term": lambda text: event({"searchResult": {"query": text}}),
    "title": lambda text: event(title=f"Account of {text}"),
    "referrer path": lambda text: event(referrer=f"https://other.example/user/{text}/home"),
    "href query": lambda text: event(location={"href": f"https://shop.example/?utm_source=x&who={text}&gclid=abc"}),
    "search": lambda text: event(location={"search": f"?utm_content={text}"}),
    "pathname": lambda text: event(location={"pathname": f"/pages/{text}"}),
    "fragment": lambda text: event(location={"hash": f"#/{text}"}),
}

_KEYS = """
email Email EMAIL e-mail e_mail emailAddress email_address customerEmail contact_email buyerEmail userEmail
shippingEmail newsletter_email email2 hashedEmail email_sha256 emails phone Phone phoneNumber phone_number
mobilePhone mobile telephone tel smsMarketingPhone customerPhone contactPhone shipping_phone whatsapp whatsappNumber
fax firstName first_name FirstName FIRST_NAME lastName lastname LastName fullName full_name customerName
customer_name userName surname givenName familyName shippingName recipientName billing_name vorname Nachname prénom
cardholderName address1 Address1 address_line_1 addressLine2 street streetAddress shippingAddress1
billing_address.first_name city City shippingCity town zip zipCode postalCode postal_code Postcode billingZip plz
latitude lat longitude lng company companyName ip IP clientIp client_ip ipAddress remoteIp x-forwarded-for userIp
cf-connecting-ip birthday dateOfBirth date_of_birth birthDate ssn passportNumber taxId vatNumber iban cardNumber
credit_card_number cvv password Password new_password secret clientSecret accessToken access_token resetToken
reset_password_token sessionToken authToken customerAccessToken apiKey api_key jwt Authorization cookie token note
notes orderNote giftMessage gift_message deliveryInstructions engraving comment order_status_url orderStatusUrl
resetUrl accountActivationUrl abandoned_checkout_url browser_ip trackingNumber customer user buyer shopper contact
recipient checkout[email] customer[first_name] contact.phone billing_address shippingAddress default-address
emailＡddress cartToken cartNote cart_note utm_email
"""
KEYS = _KEYS.split()

PHONES = [
    "+49 30 901820{}",
    "+4930901820{}",
    "+1 (555) 901-{}",
    "+1-555-901-{}",
    "+1.555.901.{}",
    "(555) 901-{}",
    "555-901-{}",
    "555.901.{}",
    "1-555-901-{}",
    "0049 30 901820{}",
    "030 9018{}",
    "0170/901{}",
    "0170 90 18 {}",
    "020 7901 {}",
    "(11) 95550-{}",
    "138 5550 {}",
    "tel:555901{}",
    "call me at 555901{}",
    "WhatsApp 555 901 {}",
    "https://wa.me/15559{}",
    "＋49 30 901820{}",
    "%2B4930901820{}",
    "%252B49%252030901820{}",
    "&#43;4930901820{}",
    "%2B49+30+901820{}",
    "%2B1+%28555%29+901-{}",
]
PHONE_PLACES = ("customData", "list in customData", "search term", "title", "href query", "fragment")

ADDRESSES_WITH_SECRETS = [
    "/account/reset/4711/{}",
    "/en-ca/account/reset/4711/{}?x=1",
    "/account/activate/4711/{}",
    "/account/activate/4711/{}/more",
    "/account/invite/{}",
    "/reset-password/{}",
    "/password_reset/{}",
    "/verify-email/{}",
    "/unsubscribe/{}",
    "/magic-link/{}",
    "/auth/{}",
    "/12345/orders/{}",
    "/12345/orders/{}/authenticate?key=1",
    "/account/orders/{}",
    "/gift_cards/12345/{}",
    "/account?token={}",
    "/account?reset_token={}",
    "/account?resetPasswordToken={}&x=1",
    "/cart/c/hWN1abc?key={}",
    "/checkouts/cn/abc/thank-you?key={}",
    "/account#access_token={}&state=1",
    "/account#id_token={}",
    "/?code={}&state=x",
    "/?password={}",
    "/?email={}",
    "/?Email={}",
    "/?customer%5Bemail%5D={}",
    "/?customer%255Bemail%255D={}",
    "/?checkout[shipping_address][first_name]={}",
    "/?checkout[shipping_address][zip]={}&gclid=a",
    "/?first_name={}",
    "/?lastName={}&utm_source=a",
    "/?name={}",
    "/?phone={}",
    "/?e=1&zip={}",
    "/?ip={}",
    "/?_kx={}",
    "/?mc_eid={}",
    "/?mkt_tok={}",
    "/?hmac={}&shop=x",
    "/?multipass_token={}",
    "/?shop_pay_token={}",
    "/?sso_token={}&x=1",
    "/apps/portal?customerPortalToken={}",
    "/?verification_code={}",
    "/?confirmationKey={}",
    "/?login_hint={}",
    "/?order_key={}",
    "/?passwordReset={}",
    "/?recovery={}",
    "/?magic_link={}",
    "/?utm_email={}",
    "/pages/track?tracking_code={}",
    "/pages/track?awb={}",
    "/?return_to=%2Faccount%3Ftoken%3D{}",
    "/?return_to=%252Faccount%252Freset%252F1%252F{}",
    "/?a=1&amp;token={}",
    "/?a=1;sessionid={}",
    "/?payload=%7B%22firstName%22%3A%22{}%22%7D",
    "/%3Ftoken%3D{}",
    "/?a=1%26token%3D{}",
]
ADDRESS_PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "href": lambda path: event(location={"href": f"https://shop.example{path}"}),
    "referrer": lambda path: event(referrer=f"https://shop.example{path}"),
    "customData": lambda path: event({"customData": {"url": f"https://shop.example{path}"}}),
}


# Bare numbers that are ids elsewhere, but not in a search box. The mark replaces the last digits.
SEARCHED = {
    "phone": "0170901{}",
    "phone in the middle": "order of 0207901{} now",
    "card": "411111111111{}",
    "card of fifteen digits": "37828224631{}",
    "bank account": "DE0212030000000020{}",
    "bank account with letters": "GB29NWBK60161331{}",
}
SEARCH_PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "query": lambda text: event({"searchResult": {"query": text, "productVariants": []}}),
    "search_term": lambda text: event({"customData": {"search_term": text}}),
    "href": lambda text: event(location={"href": f"https://shop.example/search?q={quote(text)}&type=product"}),
    "search": lambda text: event(location={"search": f"?type=product&q={text.replace(' ', '+')}"}),
    "referrer": lambda text: event(referrer=f"https://shop.example/search?options%5Bprefix%5D=last&q={quote(text)}"),
}


def _objects() -> Iterator[tuple[str, Callable[[str], Any]]]:
    """Events whose structure shows that a value is personal."""
    yield "name of a customer", lambda m: event({"customer": {"id": "7", "name": m}})
    yield "tags of a customer", lambda m: event({"customer": {"id": "7", "tags": [m]}})
    yield "object in a customer", lambda m: event({"customer": {"id": "7", "defaultAddress": {"name": m}}})
    yield "customers", lambda m: event({"customers": [{"displayName": m}]})
    yield "user in customData", lambda m: event({"customData": {"user": {"id": "7", "nick": m}}})
    yield "user as a text", lambda m: event({"customData": {"user": m}})
    yield "user_data", lambda m: event({"customData": {"user_data": {"fn": m}}})
    yield "traits", lambda m: event({"customData": {"traits": {"surname_of": m}}})
    yield "name beside an e-mail address", lambda m: event({"customData": {"email": "a@b.example", "name": m}})
    yield "message beside a phone number", lambda m: event({"customData": {"phone": "1", "message": m}})
    yield "name of an address", lambda m: event({"checkout": {"shippingAddress": {"name": m, "countryCode": "DE"}}})
    yield "addresses", lambda m: event({"checkout": {"addresses": [{"building": m}]}})
    yield "delivery address", lambda m: event({"checkout": {"deliveryAddress": {"province": m}}})
    yield "attributes of a checkout", lambda m: event({"checkout": {"attributes": [{"key": "Recipient", "value": m}]}})
    yield "attributes of a cart", lambda m: event({"cart": {"lines": [], "attributes": {"Recipient": m}}})
    yield "note attributes", lambda m: event({"customData": {"note_attributes": [{"name": "For", "value": m}]}})
    yield (
        "properties of a line",
        lambda m: event(
            {"checkout": {"lineItems": [{"quantity": 1, "properties": [{"key": "Engraving", "value": m}]}]}}
        ),
    )
    yield (
        "properties of a line as an object",
        lambda m: event({"customData": {"items": [{"quantity": 1, "properties": {"Engraving": m}}]}}),
    )
    for key in ("line_item_properties", "lineProperties", "itemProperties", "lineItemAttributes", "line_attributes"):
        yield f"{key} as an object", lambda m, key=key: event({"customData": {key: {"For": m}}})
        yield f"{key} as a list", lambda m, key=key: event({"customData": {key: [{"name": "For", "value": m}]}})
    yield "field by name and value", lambda m: event({"customData": {"fields": [{"name": "firstName", "value": m}]}})
    yield "field by label and value", lambda m: event({"customData": {"fields": [{"label": "E-Mail", "value": m}]}})
    yield "field as a list", lambda m: event({"customData": {"fields": [["last_name", m]]}})
    yield "alert", lambda m: event({"alert": {"type": "INPUT_INVALID", "target": "email", "value": m}})
    yield "greeting in a title", lambda m: event(title=f"Thank you, {m}! - Shop - Checkout")
    yield "greeting of several words in a title", lambda m: event(title=f"Hello, Ada  -{m}  {m} ! Shop")
    yield "welcome in a title", lambda m: event(title=f"Welcome back {m} – Shop")
    yield "e-mail address as a key", lambda m: event({"customData": {"seen": {f"{m}@b.example": True}}})
    yield "client id", lambda m: event() | {"clientId": f"{m}@b.example"}
    yield "id of a customer", lambda m: event({"customer": {"id": f"{m}@b.example"}})
    yield "JSON in a text", lambda m: event({"customData": {"payload": json.dumps({"a": [{"firstName": m}]})}})
    yield (
        "JSON of a customer in a text",
        lambda m: event({"customData": {"payload": json.dumps({"customer": {"name": m}})}}),
    )
    yield "JSON in the middle of a text", lambda m: event({"customData": {"log": f'sent {{"lastName": "{m}"}} now'}})
    yield "user of an address", lambda m: event(referrer=f"https://{m}:{m}@shop.example/")
    yield "JSON web token", lambda m: event({"customData": {"t": f"eyJhbGciOiJIUzI1NiJ9.eyJ{m}aaaaaaaa.sig{m}"}})
    yield (
        "Admin API token",
        lambda m: event({"customData": {"t": "shpat_0123456789abcdef" + m.replace("zq", "").strip("x")}}),
    )
    yield "at the root", lambda m: event() | {"email": m}
    yield "at the root, in capitals", lambda m: event() | {"FirstName": m}


def marked_events() -> list[Marked]:
    """Events with personal data."""
    found = []
    for (form, encode), (place, put) in itertools.product(E_MAIL_FORMS.items(), TEXT_PLACES.items()):
        word = mark()
        address = encode(f"{word}@{word}.example")
        marks = [word] if form != "base64" else [address[:12].lower()]
        found.append(Marked(f"e-mail address, {form}, in {place}", put(address), tuple(marks)))
    for key in KEYS:
        word = mark()
        found.append(Marked(f"{key} in customData", event({"customData": {key: word}}), (word,)))
        word = mark()
        found.append(Marked(f"{key} deeper", event({"form": [{"fields": {key: {"is": [word]}}}]}), (word,)))
    for phone, place in itertools.product(PHONES, PHONE_PLACES):
        digits = str(next(_four_digits))
        text = phone.format(digits)
        if place in ("href query", "fragment"):
            text = quote(text, safe="%&#;+" if "%2B" in text else "%&#;") if "&#" not in text else quote(text)
        found.append(Marked(f"phone {phone} in {place}", TEXT_PLACES[place](text), (digits,)))
    for address, (place, put) in itertools.product(ADDRESSES_WITH_SECRETS, ADDRESS_PLACES.items()):
        word = mark() + "0a1b2c"
        found.append(Marked(f"{address} in {place}", put(address.format(word)), (word,)))
    for (what, text), (place, put) in itertools.product(SEARCHED.items(), SEARCH_PLACES.items()):
        digits = str(next(_four_digits))
        found.append(Marked(f"{what} in {place}", put(text.format(digits)), (digits,)))
    for ip, place in itertools.product(["203.0.113.{}", "from 203.0.113.{} today"], ["customData", "title"]):
        number = next(_numbers) % 200
        found.append(Marked(f"{ip} in {place}", TEXT_PLACES[place](ip.format(number)), (f"203.0.113.{number}",)))
    found.append(Marked("IPv6", event({"customData": {"v": "2001:db8:85a3::8a2e:370:7334"}}), ("370:7334",)))
    found.append(Marked("card", event({"customData": {"v": "4111 1111 1111 1111"}}), ("4111",)))
    found.append(Marked("IBAN", event({"customData": {"v": "DE02 1203 0000 0000 2020 51"}}), ("1203", "2020 51")))
    for what, put in _objects():
        word = mark()
        found.append(Marked(what, put(word), (word.replace("zq", "").strip("x"),) if "Admin" in what else (word,)))
    return found


def marked_texts() -> list[Marked]:
    """Events as bytes, for data hidden by JSON syntax."""
    found = []
    for what, text in {
        "escaped @": rb'"x": "MARK\u0040b.example"',
        "escaped key": rb'"\u0065mail": "MARK"',
        "escaped letters": rb'"x": "\u004dARK@b.example"',
        "key twice": b'"email": "MARK", "email": null',
        "key twice, deeper": b'"a": {"customer": {"name": "MARK"}, "customer": null}',
        "number": b'"phone": 4930901820',
        "large number": b'"phone": 15559010000000000000000',
        "escaped slash": rb'"url": "https:\/\/shop.example\/?token=MARK"',
    }.items():
        word = mark()
        body = b'{"id": "e-%d", "name": "page_viewed", %b}' % (next(_numbers), text.replace(b"MARK", word.encode()))
        marks = {"number": "4930901820", "large number": "1555901", "escaped letters": "ark@"}
        found.append(Marked(what, body, (marks.get(what, word),)))
    return found


def broken_bodies() -> list[Marked]:
    """Refused bodies, of which the collector keeps an excerpt."""
    bodies = {
        "no JSON": "MARK",
        "form": "email=MARK&name=MARK",
        "text": '"MARK"',
        "cut off": '{"id": "1", "name": "page_viewed", "email": "MARK@b.exam',
        "cut off in a name": '{"id": "1", "customer": {"firstName": "MARK',
        "unknown field": '{"id": "1", "x": "MARK@b.example", ',
        "single quotes": "{'name': 'MARK', 'email': 'MARK@b.example'}",
        "bare keys": '{firstName: "MARK", phone: 15559010000}',
        "name of somebody": '{"name": "MARK", "x": }',
        "control character": '{"id": "1", "name": "n", "x": "\n", "lastName": "MARK"}',
        "no id": '{"name": "page_viewed", "data": {"customer": {"name": "MARK"}}}',
        "no name": '[{"id": "1", "email": "MARK@b.example"}]',
        "bad escape": r'{"id": "1", "name": "n", "x": "\q", "note": "MARK"}',
        "too large": '{"id": "1", "name": "n", "email": "MARK", "x": "' + "x" * 33_000 + '"}',
        "too deep": '{"id": "1", "name": "n", "email": "MARK", "x": ' + "[" * 20_000 + "]" * 20_000 + "}",
        "array cut off": '[{"id": "1", "name": "n", "first_name": "MARK"}, {"last_name": "MARK',
        "batch with a bad field": '{"pixel_version": 5, "events": [{"id": "1", "name": "n", "email": "MARK"}]}',
        "consent of another type": '[{"id": "1", "name": "n", "consent": "yes", "email": "MARK"}]',
        "bad UTF-8": b'{"id": "1", "name": "n", "email": "MARK", "x": "\xff"}',
    }
    found = []
    for what, body in bodies.items():
        word = mark()
        body = body if isinstance(body, bytes) else body.encode()
        found.append(Marked(what, body.replace(b"MARK", word.encode()), (word,)))
    return found


def order_webhook(word: str) -> dict[str, Any]:
    """An order as Shopify's webhook sends it, with the mark wherever there is personal data."""
    person = {"first_name": word, "last_name": word, "address1": word, "city": word, "zip": word, "name": word}
    return {
        "id": 4711,
        "admin_graphql_api_id": "gid://shopify/Order/4711",
        "name": "#1001",
        "order_number": 1001,
        "email": f"{word}@b.example",
        "contact_email": f"{word}@b.example",
        "phone": f"+49{word}",
        "browser_ip": word,
        "token": word,
        "cart_token": word,
        "checkout_token": "ct-4711",
        "tags": f"vip, {word}",
        "note": word,
        "note_attributes": [{"name": "Gift for", "value": word}],
        "order_status_url": f"https://shop.example/1/orders/{word}/authenticate?key={word}",
        "landing_site": f"/products/mug?utm_source=mail&email={word}%40b.example&gclid=abc",
        "referring_site": f"https://mail.example/?to={word}@b.example",
        "client_details": {"browser_ip": word, "user_agent": "Mozilla/5.0"},
        "customer": {"id": 7, "email": f"{word}@b.example", "note": word, "tags": word, "default_address": person},
        "billing_address": {**person, "country_code": "DE"},
        "shipping_address": {**person, "country": "Germany"},
        "line_items": [{"id": 1, "title": "Mug", "price": "10.50", "properties": [{"name": "For", "value": word}]}],
        "fulfillments": [{"id": 2, "tracking_number": word, "destination": person, "tracking_urls": [word]}],
        "payment_details": {"credit_card_name": word},
        "total_price": "10.50",
    }
