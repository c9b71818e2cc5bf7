"""The compiled scanner, which pyproject.toml cannot describe yet but as an experiment."""

from setuptools import Extension, setup

setup(
    # Optional: where there is no C compiler the package installs without it, and msgspec does its work.
    ext_modules=[Extension("proxy.core._scanner", ["proxy/core/_scanner.c"], py_limited_api=True, optional=True)],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
