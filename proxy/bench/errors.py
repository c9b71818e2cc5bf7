"""What can go wrong in a run without being a bug of ours: said in one message, never with a traceback."""


class BenchError(Exception):
    """The run failed; the message says why."""


class ChildError(BenchError):
    """A child did not start, or died; the message has its last words."""


class LoadError(BenchError):
    """A response did not come, or not whole."""
