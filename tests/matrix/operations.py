"""What a client is asked to do: the rows of the matrix, in their order."""

from __future__ import annotations

from collections.abc import Mapping

OPERATIONS: Mapping[str, str] = {
    "get": "get",
    "missing": "get what is not there (404)",
    "whole_list": "list: 2,000 pods at once",
    "pages": "list: 2,000 pods page by page",
    "custom": "list: custom resources of all namespaces",
    "table": "list as a Table",
    "watch": "watch",
    "informer": "informer, or wait",
    "create": "create",
    "replace": "replace",
    "json_patch": "patch: JSON",
    "merge_patch": "patch: merge",
    "strategic_patch": "patch: strategic",
    "server_side_apply": "server-side apply",
    "apply": "apply (by the client)",
    "delete": "delete",
    "delete_collection": "deletecollection",
    "execute": "exec",
    "attach": "attach",
    "logs": "logs",
    "follow_logs": "logs -f",
    "port_forward": "port-forward",
    "copy": "cp",
    "can_i": "auth can-i",
    "resources": "api-resources",
    "explain": "explain",
    "raw": "any path (--raw)",
}
"""Every operation's name, and how the page calls it."""

LISTS = ("whole_list", "pages", "custom", "table", "informer", "raw")
"""What is done again in the other modes: whatever lists."""
