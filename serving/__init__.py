"""Everything after the marts.

Marts flow in; a published version (files under data/published) flows out, and everything that serves reads that.
"""
