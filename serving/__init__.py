"""Everything after the marts.

Reads marts, writes a published version (files under data/published); every server reads only that version.
"""
