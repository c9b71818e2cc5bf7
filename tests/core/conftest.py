"""One Hypothesis profile for the core: the same examples on every run, and no clock."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "core", max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("core")
