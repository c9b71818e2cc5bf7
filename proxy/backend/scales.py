"""The subresource `scale`: how many replicas there are, whatever has them."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.backend import gojson, manifest, patching, status
from proxy.backend.kinds.canonical import Json, Reader, members
from proxy.backend.resources import SCALES
from proxy.backend.writes import Writer


@dataclass(frozen=True, slots=True)
class Scaler:
    """One request for a Scale."""

    writer: Writer

    def get(self) -> bytes:
        """Return the Scale as a list item."""
        return scale(manifest.stored(self.writer.find().item()))

    def update(self, body: bytes, media_type: str) -> bytes:
        """Replace the Scale."""
        return self.write(manifest.parse(SCALES, body, media_type).document)

    def patch(self, media_type: str, body: bytes) -> bytes:
        """Patch the Scale."""
        accepted = [one for one in patching.accepted_types(SCALES) if one != patching.APPLY_PATCH]
        if media_type not in accepted:
            raise patching.unsupported_media(tuple(accepted))
        changed = patching.edit(media_type, SCALES.type_name, patching.read(body), manifest.stored(self.get()))
        return self.write(manifest.read(SCALES, changed).document)

    def write(self, wanted: Json) -> bytes:
        """Scale the object as a Scale says."""
        count = members(wanted.get("spec")).get("replicas", 0)
        if not isinstance(count, int) or count < 0:
            text = f'Scale.autoscaling "{self.writer.target.name}" is invalid: spec.replicas: Invalid value: {count}: '
            raise status.ApiError(422, "Invalid", text + "must be greater than or equal to 0", status.Details())
        version = members(wanted.get("metadata")).get("resourceVersion")

        def edit(document: Json) -> Json:
            meta = members(document["metadata"]) | ({"resourceVersion": version} if version else {})
            return document | {"metadata": meta, "spec": members(document["spec"]) | {"replicas": count}}

        return scale(manifest.stored(self.writer.change(edit)))


def scale(document: Json) -> bytes:
    """Print the Scale of an object."""
    meta, spec = members(document["metadata"]), members(document["spec"])
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = members(members(spec.get("selector")).get("matchLabels"))
    made: Json = {
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": {
            "replicas": members(document.get("status")).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(selector.items())),
        },
    }
    return gojson.print_in_order(Reader().struct(SCALES.type_name, made))
