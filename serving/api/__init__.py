"""The read API: what to show a shopper next, as HTTP. Answers are JSON; a refusal is {error, remedy}.

data/published flows in, and nothing else of the data folder; each answer that flows out is of one version as a whole.

    GET  /v1/shops/{shop}/products/{product_id}/recommendations   beside one product
    GET  /v1/shops/{shop}/popular · /trending                     beside none
    POST /v1/shops/{shop}/session                                 for a session in progress
    GET  /v1/shops/{shop}/visitors/{visitor_id}                   for a person; needs a key or Shopify's signature
    GET  /healthz · /metrics · /openapi.json
"""

from serving.api.routes import ApiSettings, create_api
from serving.api.server import serve

__all__ = ["ApiSettings", "create_api", "serve"]
