"""What other tests have as well: the loops that a module runs on, and certificates."""

from tests.shell.conftest import pytest_asyncio_loop_factories
from tests.test_identity import certificates

__all__ = ["certificates", "pytest_asyncio_loop_factories"]
