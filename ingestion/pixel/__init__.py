"""The pixel: the code that runs in the storefront and sends events, and its packaging.

Reads Shopify's pixel API (events, consent); sends requests to the collector. `pixelnova.js` is the source, packaged as
an app pixel extension and as a custom pixel to paste.
"""
