"""The web server that receives the pixel's events and appends them to landing files.

Reads HTTP requests; responds with 2xx only when the events are on disk.
"""
