"""Towards the upstream: `pool` has its address and connections, `connection` sends a request and parses the answer."""
