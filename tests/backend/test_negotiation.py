"""What the Accept header gets."""

import pytest

from proxy.backend import negotiation
from proxy.backend.negotiation import Accepted, Form
from proxy.backend.status import ApiError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
BETA = "application/json;as=Table;v=v1beta1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", Accepted()),
        ("*/*", Accepted()),
        (f"{PROTOBUF},application/json", Accepted()),
        (f"{TABLE},{BETA},application/json", Accepted(Form.TABLE)),
        (BETA, Accepted(Form.TABLE, "v1beta1")),
        (PARTIAL, Accepted(Form.PARTIAL, kind="PartialObjectMetadataList")),
        ("application/json;as=Other;v=v1;g=meta.k8s.io, application/json", Accepted()),
        (f"application/json;q=0.5, {TABLE};q=0.9", Accepted(Form.TABLE)),
        ("application/json;pretty=1", Accepted(pretty=True)),
        ("application/json; drop=metadata.managedFields", Accepted()),
    ],
)
def test_the_first_servable_clause_wins(header: str, accepted: Accepted) -> None:
    """Protobuf and unknown conversions are passed over."""
    assert negotiation.negotiate(header, custom=False) == accepted


@pytest.mark.parametrize("header", [PROTOBUF, "application/msgpack", "application/json;as=Table;v=v9;g=meta.k8s.io"])
def test_nothing_servable_is_not_acceptable(header: str) -> None:
    """406."""
    with pytest.raises(ApiError) as caught:
        negotiation.negotiate(header, custom=False)
    assert caught.value.code == 406


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip", True), ("br, gzip", True), ("gzip;q=1.0", False), ("*", False), ("", False), ("identity", False)],
)
def test_gzip_must_be_a_token_of_its_own(header: str, accepted: bool) -> None:
    """Exactly `gzip`."""
    assert negotiation.accepts_gzip(header) is accepted


@pytest.mark.parametrize(
    ("query", "agent", "pretty"),
    [
        ({}, "kubectl/v1.33", False), ({}, "curl/8", True), ({}, "Mozilla/5.0 (X11)", True),
        ({"pretty": "1"}, "", True),
        ({"pretty": "false"}, "curl/8", False), ({"pretty": "x"}, "curl/8", False), ({"pretty": ""}, "curl/8", True),
    ],
)  # fmt: skip
def test_people_get_indented_answers(query: dict[str, str], agent: str, pretty: bool) -> None:
    """The query decides, then the user agent."""
    assert negotiation.is_pretty(query, agent) is pretty
