"""What a client may ask about itself: who it is and what it may do. Here everybody may do everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.backend import gojson, manifest, status
from proxy.backend.kinds import protobuf
from proxy.backend.kinds.canonical import Json, MismatchError, Reader, members

REASON = "this apiserver allows everything"
USER: Json = {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]}


@dataclass(frozen=True, slots=True)
class Review:
    """One kind of review: a resource that can only be created, and is never stored."""

    group: str
    plural: str
    kind: str
    answer: Callable[[Json], Json]

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/v1"

    def create(self, body: bytes, media_type: str) -> bytes:
        """Answer a review."""
        given = self.read(body, media_type)
        document: Json = {key: given[key] for key in ("metadata", "spec") if key in given}
        document |= {"status": self.answer(given)}
        head = f'{{"kind":"{self.kind}","apiVersion":"{self.api_version}",'.encode()
        return head + gojson.print_in_order(Reader().struct(self.kind, document))[1:]

    def read(self, body: bytes, media_type: str) -> Json:
        """Decode what is asked."""
        try:
            if media_type == protobuf.MEDIA_TYPE:
                given = protobuf.message(self.kind, protobuf.unwrap(body).raw)
            else:
                given = members(manifest.decode(body, media_type))
            return Reader().struct(self.kind, {k: v for k, v in given.items() if k not in {"kind", "apiVersion"}})
        except (*manifest.UNDECODABLE, protobuf.MalformedError, MismatchError) as error:
            text = f"the object provided is unrecognized (must be of type {self.kind}): {error}"
            raise status.bad_request(text) from None


def access(review: Json) -> Json:
    """Allow."""
    del review
    return {"allowed": True, "reason": REASON}


def rules(review: Json) -> Json:
    """Return the one rule that there is."""
    del review
    return {
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
    }


def user(review: Json) -> Json:
    """Return who everybody is."""
    del review
    return {"userInfo": USER}


AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
REVIEWS = (
    Review(AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview", user),
    Review(AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview", access),
    Review(AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview", rules),
)
BY_PATH = {f"apis/{review.group}/v1/{review.plural}": review for review in REVIEWS}
