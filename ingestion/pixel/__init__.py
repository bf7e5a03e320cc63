"""The code that runs in the storefront and sends the events, and how it is packaged.

Subscribes to Shopify's pixel API (events, consent) and sends requests to the collector. `pixelnova.js` is the source;
the app pixel extension and the custom pixel to paste are two packagings of it.
"""
