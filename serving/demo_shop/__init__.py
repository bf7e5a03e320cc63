"""What stands in a shop's storefront: the snippet and section of a theme, and a demo shop to try them in.

Published files and the read API flow in; recommendations on pages, and what shoppers do with them, flow out.
"""
