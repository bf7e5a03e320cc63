"""Ordinary stores: inputs from real shops that once led to a wrong number. One build covers them all."""
