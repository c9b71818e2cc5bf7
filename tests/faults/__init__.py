"""The fault matrix: every fault of an upstream, at every position, under every plan, seen by every client."""
