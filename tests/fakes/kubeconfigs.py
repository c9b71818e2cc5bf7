"""Kubeconfigs for tests."""

from pathlib import Path
from typing import Any

import yaml


def kubeconfig(folder: Path, server: str, *, cluster: object = None, user: object = None, **changes: Any) -> str:  # noqa: ANN401
    """Write a kubeconfig with one cluster, one user and one context; return its path."""
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster if cluster is not None else {"server": server}}],
        "users": [{"name": "u", "user": user if user is not None else {"token": "own-token"}}],
        **changes,
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return str(path)
