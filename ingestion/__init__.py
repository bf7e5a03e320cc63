"""Everything up to the raw tables.

Shopper events and Shopify's catalogue flow in; landing files and raw schemas in the warehouse come out.
"""
