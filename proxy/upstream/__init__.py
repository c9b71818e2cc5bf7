"""Towards the upstream: `pool` picks one of its addresses, `place` is one of them, `checks` tells which are well.

`connection` sends a request and parses the answer.
"""
