"""The compiled scanner, which pyproject.toml cannot describe yet but as an experiment."""

import sysconfig

from setuptools import Extension, setup

# One build for all versions of CPython, but for those without a GIL, which have no stable ABI to build for.
has_stable_abi = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    # Optional: where there is no C compiler the package installs without it, and msgspec does its work.
    ext_modules=[Extension("proxy.core._scanner", ["proxy/core/_scanner.c"], py_limited_api=True, optional=True)],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if has_stable_abi else {},
)
