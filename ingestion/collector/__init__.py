"""The web server that receives what the pixel sends and appends it to landing files.

HTTP requests flow in; an answer of 2xx flows out only when the events are on disk.
"""
