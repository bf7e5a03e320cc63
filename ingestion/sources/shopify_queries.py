"""The queries to Shopify's Admin GraphQL API, and its pinned version.

Page sizes keep each query under Shopify's limit of 1,000 points: an object costs 1, a connection 2 plus its nodes.
"""

API_VERSION = "2026-10"

# Variants are paged within products; PRODUCT_VARIANTS fetches the rest of long lists.
_PRODUCT = """
      id title handle descriptionHtml vendor productType tags status isGiftCard
      createdAt updatedAt publishedAt onlineStoreUrl
      featuredMedia { preview { image { url } } }"""
_VARIANT = """
          id title sku position price compareAtPrice
          availableForSale inventoryQuantity inventoryPolicy
          createdAt updatedAt
          inventoryItem { unitCost { amount currencyCode } }"""

PRODUCTS = f"""
query PixelnovaProducts($after: String, $query: String) {{
  products(first: 25, after: $after, query: $query, sortKey: UPDATED_AT) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{{_PRODUCT}
      variants(first: 10) {{
        pageInfo {{ hasNextPage endCursor }}
        nodes {{{_VARIANT}
        }}
      }}
    }}
  }}
}}
"""

PRODUCT_VARIANTS = f"""
query PixelnovaProductVariants($id: ID!, $after: String) {{
  product(id: $id) {{
    variants(first: 250, after: $after) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{{_VARIANT}
      }}
    }}
  }}
}}
"""

PRODUCTS_COUNT = """
query PixelnovaProductsCount($query: String) {
  productsCount(query: $query) { count precision }
}
"""

PRODUCT_IDS = """
query PixelnovaProductIds($after: String) {
  products(first: 250, after: $after, sortKey: ID) {
    pageInfo { hasNextPage endCursor }
    nodes { id }
  }
}
"""

PRODUCT_DELETIONS = """
query PixelnovaProductDeletions($after: String, $query: String) {
  events(first: 250, after: $after, query: $query, sortKey: CREATED_AT) {
    pageInfo { hasNextPage endCursor }
    nodes { ... on BasicEvent { subjectId subjectType createdAt } }
  }
}
"""

COLLECTIONS = """
query PixelnovaCollections($after: String) {
  collections(first: 250, after: $after, sortKey: ID) {
    pageInfo { hasNextPage endCursor }
    nodes { id title handle sortOrder updatedAt }
  }
}
"""

COLLECTION_PRODUCTS = """
query PixelnovaCollectionProducts($id: ID!, $after: String) {
  collection(id: $id) {
    products(first: 250, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { id }
    }
  }
}
"""

# Never query the buyer's input: no name, email, phone, address, note.
_ORDER = """
      id checkoutToken cartToken sourceName test
      createdAt processedAt updatedAt cancelledAt
      currencyCode presentmentCurrencyCode
      customer { id }
      customAttributes { key value }
      originalTotalPriceSet { presentmentMoney { amount } }
      totalPriceSet { shopMoney { amount } presentmentMoney { amount } }
      netPaymentSet { presentmentMoney { amount } }
      subtotalPriceSet { presentmentMoney { amount } }
      totalDiscountsSet { presentmentMoney { amount } }
      totalShippingPriceSet { presentmentMoney { amount } }
      totalTaxSet { presentmentMoney { amount } }
      totalRefundedSet { shopMoney { amount } presentmentMoney { amount } }"""
_ORDER_LINE = """
          id title sku quantity currentQuantity
          product { id }
          variant { id }
          discountedTotalSet { presentmentMoney { amount } }
          customAttributes { key value }"""
_REFUND = "id createdAt totalRefundedSet { presentmentMoney { amount } }"

ORDERS = f"""
query PixelnovaOrders($after: String, $query: String) {{
  orders(first: 8, after: $after, query: $query, sortKey: UPDATED_AT) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{{_ORDER}
      refunds(first: 5) {{ {_REFUND} }}
      lineItems(first: 8) {{
        pageInfo {{ hasNextPage endCursor }}
        nodes {{{_ORDER_LINE}
        }}
      }}
    }}
  }}
}}
"""

ORDER_LINES = f"""
query PixelnovaOrderLines($id: ID!, $after: String) {{
  order(id: $id) {{
    lineItems(first: 100, after: $after) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{{_ORDER_LINE}
      }}
    }}
  }}
}}
"""

ORDER_REFUNDS = f"""
query PixelnovaOrderRefunds($id: ID!) {{
  order(id: $id) {{ refunds(first: 250) {{ {_REFUND} }} }}
}}
"""


def bulk_products(filter_text: str | None) -> str:
    """The bulk query for all products or those of a search; bulk queries have no variables and no pages.

    The file has one line per node; a variant's line has the id of its product as `__parentId`.
    """
    arguments = "" if filter_text is None else f'(query: "{filter_text}")'
    return f"""
query PixelnovaBulkProducts {{
  products{arguments} {{
    edges {{ node {{{_PRODUCT}
      variants {{ edges {{ node {{{_VARIANT}
      }} }} }}
    }} }}
  }}
}}
"""


RUN_BULK = """
mutation PixelnovaRunBulk($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: false) {
    bulkOperation { id status }
    userErrors { field message }
  }
}
"""

BULK_STATUS = """
query PixelnovaBulkStatus($id: ID!) {
  node(id: $id) {
    ... on BulkOperation { id status errorCode createdAt objectCount fileSize url partialDataUrl }
  }
}
"""

# Queries of `pixelnova connect check`.
ACCESS = """
query PixelnovaAccess {
  currentAppInstallation { accessScopes { handle } }
  publicApiVersions { handle supported }
}
"""

WEBHOOKS = """
query PixelnovaWebhooks {
  webhookSubscriptions(first: 100) { nodes { topic uri } }
}
"""

WEB_PIXEL = """
query PixelnovaWebPixel {
  webPixel { settings }
}
"""

DOCUMENTS = (
    ACCESS,
    WEBHOOKS,
    WEB_PIXEL,
    PRODUCTS,
    PRODUCT_VARIANTS,
    PRODUCTS_COUNT,
    PRODUCT_IDS,
    PRODUCT_DELETIONS,
    COLLECTIONS,
    COLLECTION_PRODUCTS,
    ORDERS,
    ORDER_LINES,
    ORDER_REFUNDS,
    bulk_products("updated_at:>='2026-01-01T00:00:00Z'"),
    RUN_BULK,
    BULK_STATUS,
)
