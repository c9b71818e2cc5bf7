"""The client matrix: real clients, each operation direct and through the proxy, compared.

`python -m tests.matrix` (or `make matrix`) writes docs/clients.md.
"""
