"""kubectl proxy's filters: which requests are let through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.filters import Filter, readings
from proxy.settings import Filters

DEFAULTS = Filters()
FILTER = Filter.compile(DEFAULTS.accept_hosts, DEFAULTS.accept_paths, DEFAULTS.reject_paths, DEFAULTS.reject_methods)
EXEC = "/api/v1/namespaces/default/pods/a/exec"


@pytest.mark.parametrize("host", ["localhost", "localhost:8001", "LocalHost", "127.0.0.1:1", "[::1]", "[::1]:8001"])
def test_hosts_of_this_machine(host: str) -> None:
    """Loopback names pass, with and without a port."""
    assert FILTER.refusal("GET", "/api/v1/pods", host) == ""


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil", "a@localhost", "localhost:80:80", "[::1"]
)
def test_other_hosts(host: str) -> None:
    """Whatever else is in the Host line is refused."""
    assert FILTER.refusal("GET", "/api/v1/pods", host) == "Host is none that filters.accept_hosts accepts"


@pytest.mark.parametrize(
    "path",
    [
        EXEC,
        EXEC.replace("exec", "e%78ec"),
        EXEC.replace("/pods", "//pods"),
        "/" + EXEC,
        "/./x/.." + EXEC,
        "/version/%2e%2e" + EXEC,
        EXEC.replace("default", "a%0ab"),
        EXEC.replace("exec", "attach") + "/",
    ],
)
def test_exec_however_it_is_written(path: str) -> None:
    """No spelling that a server might read as an exec gets through."""
    assert FILTER.refusal("POST", path, "localhost") == "the path is one that filters.reject_paths rejects"


@given(st.text(alphabet="/.%2eEfFapi", max_size=30), st.text(max_size=5))
def test_any_path_can_be_read(path: str, method: str) -> None:
    """Nothing makes the filters fail, and no reading has dots left but the written ones."""
    FILTER.refusal(method, path, path)
    assert any(reading.startswith("/") and "/../" not in reading + "/" for reading in readings(path))
