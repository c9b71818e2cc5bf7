"""Which way a response takes, decided once from the request and once more from the response's head.

Every plan carries the reason for which it was picked; the reasons are a closed set, as they become labels.
"""

from dataclasses import dataclass
from typing import Literal

from proxy.core.headers import parse_accept
from proxy.core.request import RequestInfo

Mode = Literal["raw", "streamed", "buffered"]
ListMode = Literal["auto", "raw", "streamed", "buffered"]


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes are copied as they come."""

    reason: str
    mode: Mode = "raw"


@dataclass(frozen=True, slots=True)
class Streamed:
    """The body is cut into items and re-emitted while it arrives; one window is held."""

    reason: str
    mode: Mode = "streamed"


@dataclass(frozen=True, slots=True)
class Buffered:
    """The whole body is held, then sent with one write: the path to compare with."""

    reason: str
    mode: Mode = "buffered"


Plan = Raw | Streamed | Buffered
"""A ``Paged`` joins this union with the paging issue; `match` statements end in `assert_never`."""

NOT_A_LIST = Raw("not_a_list_request")
BODY_NOT_A_LIST = Raw("not_a_list")
"""A 200 to a List request whose body turns out to have no array of items."""

MODES: tuple[Mode, ...] = ("raw", "streamed", "buffered")
BY_MODE: dict[str, type[Plan]] = {"raw": Raw, "streamed": Streamed, "buffered": Buffered}
JSON = "application/json"


def plan_request(info: RequestInfo, method: str, accept: list[str], *, mode: ListMode, pinned_by: str) -> Plan:
    """Plan what to do with the answer to a request, should it turn out to be the List that was asked for.

    `accept` are the client's Accept lines; `mode` is what the settings or the client's X-Restream-Mode pin
    (`pinned_by` says which), or ``auto``.
    """
    if info.verb != "list":
        return NOT_A_LIST
    if method == "HEAD":
        return Raw("head")
    if mode == "raw":
        return Raw(pinned_by)
    if any(accept) and not any(media.matches(JSON) for media in parse_accept(accept)):
        return Raw("media_type")
    if mode == "auto":
        return Streamed("auto")
    return BY_MODE[mode](pinned_by)


def judge_response(plan: Plan, status: int, content_type: str, content_encoding: str) -> Plan:
    """Keep `plan` if the response can be a JSON List, else fall back to `Raw` with what stands in the way."""
    if isinstance(plan, Raw):
        return plan
    if status != 200:
        return Raw("status")
    if content_type.partition(";")[0].strip().lower() != JSON:
        return Raw("media_type")
    if content_encoding.strip().lower() not in ("", "identity"):
        return Raw("content_encoding")
    return plan
