"""One Hypothesis profile for the core, the same examples on every run and no clock; and both ways to find items."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from proxy.core import scanner

settings.register_profile(
    "core", max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("core")


@pytest.fixture(scope="module", params=["compiled", "python"])
def finder(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests with the compiled scanner, where it has been built, and without it."""
    if request.param == "compiled" and not scanner.is_compiled:
        pytest.skip("the scanner has not been compiled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "is_compiled", request.param == "compiled")
        yield request.param
