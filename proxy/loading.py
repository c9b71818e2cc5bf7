"""Settings from a file, the environment and flags: a flag beats a ``RESTREAM_*`` variable beats the file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

import msgspec
import yaml

from proxy import refusals
from proxy.settings import KIB, MIB, Automatic, Settings, SettingsError, Upstreams, explain, is_size, setting_kinds

UNITS = {"": 1, "B": 1, "KiB": KIB, "MiB": MIB, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
SIZE = re.compile(r"(\d+)\s*([A-Za-z]*)$")
SWITCHES = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}
ENV_PREFIX = "RESTREAM_"


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Merge file, environment and `flags` (dotted key path to value, None for absent). Raises SettingsError."""
    merged = _read_file(path) if path else {}
    for key, kind in setting_kinds().items():
        name = ENV_PREFIX + key.replace(".", "_").upper()
        if environ.get(name):
            _put(merged, key, _typed(key, kind, environ[name]))
        if flags.get(key) is not None:
            _put(merged, key, _typed(key, kind, flags[key]))
    upstream = merged.get("upstream")
    if isinstance(upstream, list) and len(upstream) == 1:
        merged["upstream"] = upstream[0]
    if merged.get("context") and not merged.get("kubeconfig") and not upstream:
        merged["kubeconfig"] = environ.get("KUBECONFIG") or "~/.kube/config"  # as kubectl --context
    _parse_sizes(merged, "")
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(explain(str(error))) from None
    refusals.check(settings)
    return settings


def parse_size(text: str) -> int:
    """Read ``16MiB``, ``2 MB`` or ``65536`` as bytes. Raises ValueError."""
    match = SIZE.match(text.strip())
    if match is None or match[2] not in UNITS:
        raise ValueError(f"expected a size such as 16MiB, got {text!r}")
    return int(match[1]) * UNITS[match[2]]


def _read_file(path: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    loaded = _parse_yaml(path, text)
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingsError(f"{path}: expected a mapping of settings")
    return loaded


def _parse_yaml(name: str, text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise SettingsError(f"{name}: {where}not YAML") from None


def _typed(key: str, kind: object, value: object) -> object:
    """Read what a flag or a variable says as the setting's type; text stays text, whatever YAML would make of it."""
    if kind == Upstreams | None:
        values = value if isinstance(value, list) else [value]  # a flag may be given more than once
        return [each for text in values for each in str(text).split(",") if each]
    if isinstance(value, str) and kind == tuple[str, ...] and not value.startswith("["):
        return [each for each in value.split(",") if each]  # as kubectl's own flags have it
    if isinstance(value, str) and get_origin(kind) is tuple:
        return _parse_yaml(key, value)
    if (
        not isinstance(value, str)
        or kind not in (bool, int, float, Automatic)
        or (kind == Automatic and value == "auto")
    ):
        return value
    try:
        if kind in (int, Automatic):
            return parse_size(value) if is_size(key) else int(value)
        return float(value) if kind is float else SWITCHES[value.lower()]
    except KeyError:
        raise SettingsError(f"{key}: expected true or false, got {value!r}") from None
    except ValueError as error:
        expected = "auto or a number" if kind == Automatic else "a number"
        problem = error if is_size(key) else f"expected {expected}, got {value!r}"
        raise SettingsError(f"{key}: {problem}") from None


def _put(merged: dict[str, Any], key: str, value: object) -> None:
    *parents, name = key.split(".")
    for parent in parents:
        inner = merged.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{parent}: expected a mapping")
        merged = inner
    merged[name] = value


def _parse_sizes(settings: dict[str, Any], path: str) -> None:
    for key, value in settings.items():
        if isinstance(value, dict):
            _parse_sizes(value, f"{path}{key}.")
        elif is_size(str(key)) and isinstance(value, str) and value != "auto":
            try:
                settings[key] = parse_size(value)
            except ValueError as error:
                raise SettingsError(f"{path}{key}: {error}") from None
