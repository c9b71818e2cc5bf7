"""OpenAPI: v3, one document for each group version, and v2.

Before kubectl creates anything, it looks whether PATCH of the manifest's kind has the query parameter
`fieldValidation`; without it, kubectl would validate by itself. From 1.29 on it reads v3 for that, before that v2.
`kubectl explain` prints the schemas, in which the API's descriptions are missing.
"""

from __future__ import annotations

import hashlib

from proxy.backend import gojson, schemas
from proxy.backend.kinds.canonical import Json
from proxy.backend.patching import accepted_types
from proxy.backend.resources import RESOURCES, Resource

V2_PATH = "openapi/v2"
INFO: Json = {"title": "Kubernetes", "version": "v1"}


def documents() -> dict[str, bytes]:
    """Return every OpenAPI document, by path."""
    by_path: dict[str, list[Resource]] = {}
    for one in RESOURCES:
        by_path.setdefault(schemas.path_of(one), []).append(one)
    found = {f"openapi/v3/{path}": gojson.encode(document(resources)) for path, resources in by_path.items()}
    root = {path: {"serverRelativeURL": located(f"openapi/v3/{path}", found)} for path in by_path}
    return found | {"openapi/v3": gojson.encode({"paths": root}), V2_PATH: gojson.encode(swagger())}


def located(path: str, found: dict[str, bytes]) -> str:
    """Return where a document is, with the hash by which clients keep it."""
    return f"/{path}?hash={hashlib.sha512(found[path]).hexdigest().upper()}"


def document(resources: list[Resource]) -> Json:
    """Return the document of one group version."""
    paths = {schemas.object_path(one): {"patch": operation(one)} for one in resources}
    components = {"schemas": schemas.schemas(resources, "#/components/schemas/")}
    return {"openapi": "3.0.0", "info": INFO, "paths": paths, "components": components}


def operation(resource: Resource) -> Json:
    """Describe the PATCH of one object."""
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in schemas.PATCH_PARAMETERS]
    content = {one: {"schema": {"type": "object"}} for one in accepted_types(resource)}
    return {
        "x-kubernetes-group-version-kind": schemas.group_version_kind(resource), "x-kubernetes-action": "patch",
        "parameters": parameters, "requestBody": {"content": content}, "responses": {"200": {"description": "OK"}},
    }  # fmt: skip


def swagger() -> Json:
    """Return v2 for those who take it as JSON."""
    paths: Json = {}
    for one in RESOURCES:
        parameters = [{"name": name, "in": "query", "type": "string"} for name in schemas.PATCH_PARAMETERS]
        patch: Json = {"parameters": parameters, "responses": {"200": {"description": "OK"}}}
        paths[schemas.object_path(one)] = {
            "patch": patch | {"x-kubernetes-group-version-kind": schemas.group_version_kind(one)}
        }
    definitions = schemas.schemas(list(RESOURCES), "#/definitions/")
    return {"swagger": "2.0", "info": INFO, "paths": paths, "definitions": definitions}
