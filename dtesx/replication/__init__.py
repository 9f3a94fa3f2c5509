"""Joins wire, mirror and apply: one mirror over one connection, from both ends."""
