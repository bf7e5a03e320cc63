"""Ordinary stores: inputs of real shops that once led to a wrong number. One refresh builds them all."""
