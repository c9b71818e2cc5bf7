"""Patches: what a client says that should change, applied to an object as it is."""
