"""Every failure that the proxy itself can report, as one hierarchy.

`status_hint` is the HTTP status that the handler answers with while nothing has been sent, `reason` the bounded
label under which an abort is counted once something has. Messages never quote a body: a List may hold Secrets.
"""


class RestreamError(Exception):
    """Root of everything that the proxy raises on purpose."""

    status_hint = 500
    reason = "internal"


class BadRequestError(RestreamError):
    """The client's request cannot be carried; answered with 400 and a closed connection."""

    status_hint = 400
    reason = "bad_request"


class UnauthorizedError(RestreamError):
    """The client has not shown who it is."""

    status_hint = 401
    reason = "unauthorized"


class ForbiddenError(RestreamError):
    """The proxy's own rules refuse the request."""

    status_hint = 403
    reason = "forbidden"


class TooManyRequestsError(RestreamError):
    """There is no room for a List now; a client that comes back in `RETRY_AFTER_SECONDS` may have it."""

    status_hint = 429
    reason = "memory_budget"


class QueueFullError(TooManyRequestsError):
    """So many Lists wait for room that no more of this client's are taken."""

    reason = "queue_full"


class ClientGoneError(RestreamError):
    """The client closed the connection before it had its answer."""

    status_hint = 499
    reason = "client_gone"


class ClientStalledError(RestreamError):
    """The client does not read what it has asked for."""

    status_hint = 408
    reason = "client_stalled"


class UpstreamError(RestreamError):
    """The upstream could not be reached, or broke HTTP."""

    status_hint = 502
    reason = "upstream_error"


class UpstreamUnreachableError(UpstreamError):
    """No connection: refused, unresolvable, TLS handshake failed."""

    reason = "upstream_unreachable"


class UpstreamTimeoutError(UpstreamError):
    """The upstream was silent for longer than the settings allow."""

    status_hint = 504
    reason = "upstream_timeout"


class UpstreamClosedError(UpstreamError):
    """The connection ended before the response did."""

    reason = "upstream_closed"


class UpstreamUnavailableError(UpstreamError):
    """The upstream has not answered for so long that it is not even asked, but for a request now and then."""

    status_hint = 503
    reason = "upstream_unavailable"


class CredentialError(UpstreamError):
    """The proxy's own credential cannot be had."""

    reason = "credential"


class UpstreamProtocolError(UpstreamError):
    """What came back is not HTTP/1.1."""

    reason = "upstream_protocol"


class ListError(RestreamError):
    """The upstream's body is not a List that can be passed on as complete."""

    status_hint = 502
    reason = "invalid_list"


class InvalidJSONError(ListError):
    """The grammar of the skeleton or of an item is broken (RFC 8259)."""

    reason = "invalid_json"


class InvalidUTF8Error(ListError):
    """A string is not UTF-8 (RFC 8259, section 8.1)."""

    reason = "invalid_utf8"


class NestingError(ListError):
    """Arrays or objects are nested deeper than the parsers go."""

    reason = "nesting"


class TruncatedListError(ListError):
    """The body ended inside the List although its framing ended cleanly."""

    reason = "truncated"


class TrailingDataError(ListError):
    """Something other than white space follows the List."""

    reason = "trailing_data"


class DuplicateItemsError(ListError):
    """The array of items occurs twice: two Lists in one, of which clients keep different halves."""

    reason = "duplicate_items"


class ItemTooLargeError(ListError):
    """An item, or a value of the skeleton, is over `max_item_bytes`."""

    reason = "item_too_large"


class ListTooLargeError(ListError):
    """More would have to be held than `memory_budget`, even if there were no other List."""

    reason = "list_too_large"


class PagesDisagreeError(ListError):
    """The pages of one List are not of one snapshot, or not of one List."""

    reason = "pages_disagree"


class TokenLoopError(ListError):
    """The continue tokens lead in a circle, or from one empty page to the next without end."""

    reason = "token_loop"


class UnstitchableError(ListError):
    """A page from which no List can be made that an unpaged response would equal."""

    reason = "unstitchable"


class PageRefusedError(ListError):
    """The upstream answered something else than a List where a later page was due."""

    reason = "page_refused"


class TokenRefusedError(PageRefusedError):
    """The upstream refuses its own continue token: it does not page as an apiserver does."""

    reason = "token_refused"


class ExpiredError(ListError):
    """The continue token is older than the upstream's history, or so old that the rest would not fit."""

    status_hint = 410
    reason = "expired"
