"""The configuration of a replica's network: read as text, rewritten by pure functions, written back.

Each network stack has a module. Its ``readdress`` gives an interface other addresses; lines that are
not about addresses stay bytewise. A second run changes nothing.
"""
