"""The code that runs in the storefront and sends the events, and how it is packaged.

Shopify's pixel API flows in (events, consent); requests to the collector flow out. `pixelnova.js` is the one source;
the app pixel extension and the custom pixel to paste are two packagings of it.
"""
