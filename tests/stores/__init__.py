"""Ordinary stores: what real shops send, the kinds of input that once bent a number. One refresh builds them all."""
