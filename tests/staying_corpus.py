"""Data that resembles personal data but is needed for analysis: it must stay unchanged, byte for byte.

Texts for any place, and values that may occur under `data` of an event.
"""

# Texts that resemble personal data and must stay unchanged.
STAYS = [
    *["Blue Mug 0,5 l", "Size 36 38 40 42", "Set of 3 (2024)", "Lego 75192", "Poster 50 x 70 cm", "iPhone 15 case"],
    *["100-200-3000 mm", "1.234.567,89", "1,234,567.89", "10.50", "-5", "0.8333333333", "50% off & more = fun"],
    *["2026-11-22", "2026-11-22 10:00:00", "22.11.2026 10:30", "05/11/2026 10:15", "01-02-2026", "10:00:00"],
    *["2026-11-22T10:00:00+01:00", "1764028800", "1764028800123", "#1001", "EN-1001-2026", "SKU-123-456-7890"],
    *["7999999999999", "0012345678905", "4006381333931", "gid://shopify/Product/7999999999999"],
    *["gid://shopify/OrderIdentity/5551234567", "Z2lkOi8vc2hvcGlmeS9Qcm9kdWN0Lzc5OTk5OTk5OTk5OTk="],
    *["5f6b9a1e-1234-4123-8123-123456789012", "12345678-1234-1234-1234-123456789012", "sh-5f6b9a1e-1234-4123-8123"],
    *["Follow @brand", "https://social.example/@brand/story", "image@2x.png", "logo@1.5x.png", "2 @ 5.99"],
    *["fb.1.1596403881668.1098115397", "GA1.1.1234567890.1764028800", "v 1.2.3", "Café Müller & Söhne", "抹茶セット"],
    *["Hello Kitty, Mug", "Thank you card", "Welcome to our shop", "Dear Deer", "Emails that sell, a book"],
    *["checkout_completed", "customer", "en-US", "Email", "phone case", "mobile", "address book", "zip hoodie"],
    *["https://shop.example/products/555-123-4567-brick", "/collections/recovery/products/foam-roller-2"],
    *["/blogs/invite/5-ways-to-stretch", "/pages/verify", "/account/orders", "/account/login", "/account/register"],
    *["/checkouts/cn/Z2NwLWV1cm9wZS13ZXN0MTowMUo5/thank-you", "/checkouts/c/0123456789abcdef0123456789abcdef"],
    *["/search?q=4006381333931", "/search?q=012345678905", "/?campaign=120208411111111111", "/?tokens=3", "?access=1"],
    *["/en-ca/products/mug?variant=40000000000001", "/search?q=red+mug+500+ml&type=product&_pos=1&_ss=r"],
    "https://shop.example/?utm_source=google&utm_medium=cpc&utm_campaign=Spring%20Sale%20%26%20More&utm_content=a%2Bb"
    "&utm_term=mug&gclid=Cj0KCQiA1234567890_abcDEF-xyz&gbraid=0AAAA&wbraid=1BBB&msclkid=0123456789abcdef0123456789abcdef",
    "?fbclid=IwAR0123456789abcdefghijklmnopqrstuvwxyz&ttclid=E.C.P.abc&twclid=2abc&li_fat_id=5f6b9a1e-1234&ScCid=1&epik=d",
    "?filter.v.price.gte=10&filter.p.vendor=Acme&sort_by=price-ascending&page=2&currency=EUR&country=DE&locale=de",
    "?utm_source=newsletter&utm_medium=email&utm_campaign=2026-11&discount=SPRING10&ref=blog",
    "?customer_id=7123456789012&order_id=5123456789012&checkout_id=1&checkout_token=abc123",
    "https://www.google.com/search?q=mug",
    "android-app://com.google.android.gm/",
    "https://l.instagram.com/?u=https%3A%2F%2Fshop.example%2F%3Fa%3D1&e=AT0",
]
STAYING_OBJECTS = [
    {
        "checkout": {
            "token": "0123456789abcdef",
            "order": {"id": "gid://shopify/OrderIdentity/1", "customer": {"id": "7", "isFirstOrder": True}},
        }
    },
    {
        "checkout": {
            "lineItems": [
                {"quantity": 1, "properties": [{"key": "_pixelnova_rec", "value": "r1.product_page.similar.2"}]}
            ]
        }
    },
    {"checkout": {"billingAddress": {"country": "Germany", "countryCode": "DE", "provinceCode": "BE"}, "email": None}},
    {
        "checkout": {
            "localization": {"country": {"isoCode": "DE"}},
            "discountApplications": [{"title": "SPRING10", "type": "DISCOUNT_CODE"}],
        }
    },
    {
        "checkout": {
            "buyerAcceptsEmailMarketing": True,
            "transactions": [{"gateway": "card", "paymentMethod": {"name": "Visa", "type": "card"}}],
        }
    },
    {
        "productVariant": {
            "id": "1",
            "sku": "555-123-4567",
            "title": "Red",
            "price": {"amount": 10.5, "currencyCode": "EUR"},
            "product": {
                "id": "7999999999999",
                "title": "Hello, Sunshine",
                "vendor": "Acme",
                "url": "/products/mug",
                "type": "Mugs",
                "untranslatedTitle": "Hello, Sunshine",
            },
            "image": {"src": "https://cdn.example/mug@2x.png?v=1764028800"},
        }
    },
    {
        "cart": {
            "id": "gid://shopify/Cart/Z2NwLWV1cm9wZQ",
            "totalQuantity": 2,
            "lines": [{"merchandise": {"id": "1"}, "quantity": 2}],
            "attributes": [],
        }
    },
    {"searchResult": {"query": "red mug 500 ml", "productVariants": []}},
    {"searchResult": {"query": "4006381333931"}},  # EAN
    {"searchResult": {"query": "012345678905"}},  # UPC
    {"searchResult": {"query": "0306406152"}},  # ISBN
    {"searchResult": {"query": "00012345678905"}},  # GTIN
    {"searchResult": {"query": "SK12ABCD123456789"}},
    {"customData": {"search_term": "iphone 15", "keyword": "1234567890"}},
    {
        "customData": {
            "v": 1,
            "request_id": "5f6b9a1e-1234-4123-8123-123456789012",
            "placement": "product_page",
            "product_ids": ["1", "2"],
            "model_version": "20261122T100000",
            "name": "hero banner",
            "message": "Added to cart",
        }
    },
    {
        "customData": {
            "v": 1,
            "experiment": "cold-start",
            "phase": 2,
            "variation": "treatment",
            "unit": "7d1f0b52-9f3e-4c55-9a01-2b7c60a1d9ef",
            "placement": "product_page",
            "request_id": "5f6b9a1e-1234-4123-8123-123456789012",
            "seed_product_id": "7999999999999",
        }
    },
    {"collection": {"id": "1", "title": "Emails and Phones", "productVariants": [{"product": {"title": "Customer"}}]}},
    {"customData": {"properties": {"plan": "gold"}, "is_mobile": True, "phone": None, "screenName": "Home"}},
]
