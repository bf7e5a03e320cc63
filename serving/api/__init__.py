"""The read API: recommendations over HTTP. Responses are JSON; errors are {error, remedy}.

Reads data/published and nothing else of the data folder; each response comes from a single version.

    GET  /v1/shops/{shop}/products/{product_id}/recommendations   for a product page
    GET  /v1/shops/{shop}/popular · /trending                     without a product
    POST /v1/shops/{shop}/session                                 for a session in progress
    GET  /v1/shops/{shop}/visitors/{visitor_id}                   for a person; needs an API key or Shopify's signature
    GET  /healthz · /metrics · /openapi.json
"""

from serving.api.routes import ApiSettings, create_api
from serving.api.server import serve

__all__ = ["ApiSettings", "create_api", "serve"]
