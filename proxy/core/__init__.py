"""The sans-IO core: bytes in, events out.

Nothing below this package knows a socket, a clock, an environment or a log (an import contract holds that).
A function answers with a value, with "nothing yet", or raises a `proxy.core.errors.RestreamError`; any other
exception that leaves the core is a bug.
"""
