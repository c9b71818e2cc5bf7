"""Rules that the import contracts cannot say."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "proxy").rglob("*.py"))
CORE = sorted((ROOT / "proxy" / "core").glob("*.py"))
PURE = {"collections", "dataclasses", "enum", "http", "json", "re", "typing", "urllib", "ijson", "msgspec", "proxy"}
"""What the core may import: nothing that waits, looks at a clock, or touches the system."""


def imports(path: Path) -> set[str]:
    """Return the top-level names of what a module imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_imports_nothing_that_does_io(path: Path) -> None:
    """The core is sans-IO: its imports are a short list, and it has no coroutine."""
    assert imports(path) <= PURE | {"codecs", "itertools", "functools", "bisect", "operator"}
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, asynchronous)]


def test_core_loads_without_the_shell() -> None:
    """Importing the whole core loads neither asyncio nor an HTTP library."""
    names = ", ".join(f"proxy.core.{path.stem}" for path in CORE if path.stem != "__init__")
    program = f"import sys, {names}; print(*sorted({{'asyncio', 'aiohttp', 'httptools', 'uvloop'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_serving_loads_no_tools() -> None:
    """``serve`` does not carry the backend, the bench or their libraries."""
    program = "import sys, proxy.cli; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = set(done.stdout.splitlines())
    assert "proxy.app" in loaded
    assert loaded.isdisjoint({"proxy.backend", "proxy.bench", "matplotlib", "rich", "numpy"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_they_are(path: Path) -> None:
    """Every module has a docstring, and none has a name that says nothing."""
    assert ast.get_docstring(ast.parse(path.read_text())), path
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


@pytest.mark.parametrize("path", [*CORE, *sorted((ROOT / "proxy").glob("*.py"))], ids=lambda path: path.name)
def test_data_path_never_swallows_cancellation(path: Path) -> None:
    """Nobody catches BaseException, or CancelledError, without raising again: a request that is cancelled ends."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "BaseException"
            if "BaseException" in caught or "CancelledError" in caught:
                assert any(isinstance(inner, ast.Raise) for inner in ast.walk(node)), f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.name)
def test_every_test_states_its_promise(path: Path) -> None:
    """Every test has a docstring, and no test uses a mock."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{path}:{node.lineno} {node.name}"
    assert not imports_mock(tree), path


def imports_mock(tree: ast.AST) -> bool:
    """Whether a module imports unittest.mock."""
    return any(
        (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest"))
        or (isinstance(node, ast.Import) and any(alias.name.startswith("unittest") for alias in node.names))
        for node in ast.walk(tree)
    )
