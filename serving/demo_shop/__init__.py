"""A demo shop on this machine, to try the theme snippet, the pixel and the read API together.

Reads published files and the read API, shows them on pages, and sends events to the collector.
"""
