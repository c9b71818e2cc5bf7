"""Lists that find no room: who waits, who is refused and how, who passes; and that everything is given back."""

import pytest
import yaml

from proxy.settings import Admission, DownstreamTLS
from tests.fakes.apiserver import SMALL_LIST, chunk
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.running import eventually
from tests.fakes.stage import AT_ONCE, Stage, list_request, stage
from tests.fakes.wire import Client, request

LOOPS = ("asyncio", "uvloop")


@pytest.mark.parametrize("media_type", ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"])
async def test_refuses_as_an_apiserver_does(media_type: str) -> None:
    """429 with Retry-After, and the same in the Status, in the client's own form; the connection goes on."""
    async with stage(admission=Admission(queue_seconds=0.01)) as at:
        await at.fill()
        async with await at.proxy.connect() as client:
            accept = f"Accept: {media_type};q=1, application/json;q=0.5".encode()
            answer = await client.ask(list_request("late", accept))
            assert (answer.status, answer.reason) == (429, b"Too Many Requests")
            assert answer.values(b"retry-after") == [b"1"]
            assert answer.first(b"content-type").decode() == media_type
            assert answer.mode.endswith("; reason=memory_budget")
            if media_type.endswith("protobuf"):
                assert b"\x22\x0fTooManyRequests\x2a\x02\x28\x01\x30\xad\x03" in answer.body  # reason, details, code
            else:
                found = yaml.safe_load(answer.body)  # of which JSON is a part
                assert (found["kind"], found["status"], found["code"]) == ("Status", "Failure", 429)
                assert found["reason"] == "TooManyRequests"
                assert found["details"] == {"retryAfterSeconds": 1}
            assert at.refused("memory_budget") == 1
            assert "late" not in at.gates.began
            at.gates.open("first0", "late")
            assert (await at.clients["first0"].answer()).body == SMALL_LIST
            assert (await client.ask(list_request("late"))).body == SMALL_LIST


async def test_waits_for_its_turn() -> None:
    """One that finds no room is served as soon as another has ended, without another word."""
    async with stage() as at:
        await at.fill()
        late = await at.ask("late")
        assert at.waiting == 1
        at.gates.open("first1", "late")
        answer = await late.answer()
        assert answer.status == 200
        assert answer.body == SMALL_LIST
        assert at.refused("memory_budget") == 0


async def ask_in_turn(at: Stage, first: dict[str, object], second: dict[str, object]) -> None:
    """Let one client ask for four Lists, then another one for one, and see who is served when."""
    await at.fill()
    for number in range(4):
        await at.ask(f"many{number}", **first)  # type: ignore[arg-type]
    await at.ask("one", **second)  # type: ignore[arg-type]
    assert at.waiting == 5
    for name in ["first0", "first1", "many0", "one", "many1"]:
        began = len(at.gates.began)
        at.gates.open(name)
        await eventually(lambda began=began: len(at.gates.began) > began)  # type: ignore[misc]
    assert at.gates.began[AT_ONCE:] == ["many0", "one", "many1", "many2", "many3"]


async def test_addresses_take_turns() -> None:
    """Who has asked for many Lists waits no shorter for them than who asks for one."""
    async with stage() as at:
        await ask_in_turn(at, {"source": "127.0.0.1"}, {"source": "127.0.0.2"})


@needs_openssl
async def test_users_take_turns(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whom a certificate names is a client of its own, from whatever address."""
    certificates: Certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    alice, bob = (certificates.client(certificates.issue(name, f"/CN={name}")) for name in ("alice", "bob"))
    ca, cert, key = map(certificates.path, ("ca.crt", "server.crt", "server.key"))
    async with stage(tls=DownstreamTLS(cert, key, client_ca=ca, client_certificate="optional")) as at:
        original = at.proxy.connect

        async def connect(**how: object) -> Client:
            return await original(**{"tls": alice, **how})  # type: ignore[arg-type]

        at.proxy.connect = connect  # type: ignore[method-assign]
        await ask_in_turn(at, {}, {"tls": bob})


async def test_a_full_queue_refuses_at_once() -> None:
    """The client with most Lists in it gives one up for another client; it is told so without a wait."""
    async with stage(admission=Admission(queue_seconds=15, queue_length=2)) as at:
        await at.fill()
        await at.ask("greedy0")
        last = await at.ask("greedy1")
        refused = await at.ask("greedy2")
        assert (await refused.answer()).status == 429
        await at.ask("modest", source="127.0.0.2")
        answer = await last.answer()
        assert answer.status == 429
        assert answer.first(b"retry-after") == b"1"
        assert answer.mode == "streamed; reason=queue_full"
        assert at.refused("queue_full") == 2
        assert at.waiting == 2


@pytest.mark.parametrize("setting", ["client_lists", "resource_lists"])
async def test_numbers_of_lists(setting: str) -> None:
    """A second List of the client, or of the resource, waits while others are served; then it has its turn."""
    async with stage(admission=Admission(queue_seconds=15, **{setting: 1})) as at:
        await at.ask("first")
        second = await at.ask("second")
        assert at.waiting == 1
        async with await at.proxy.connect(source="127.0.0.2" if setting == "client_lists" else None) as other:
            at.gates.open("other")
            answer = await other.ask(list_request("other", resource="secrets"))
            assert answer.status == 200
        at.gates.open("first", "second")
        assert (await second.answer()).body == SMALL_LIST


async def test_who_leaves_while_waiting_gives_its_place_back() -> None:
    """A client that goes away, or ends its side, is not waited for, and nothing is asked for it."""
    async with stage() as at:
        await at.fill()
        gone, ended, last = [await at.ask(name) for name in ("gone", "ended", "last")]
        gone.reset()
        ended.finish()
        await eventually(lambda: at.waiting == 1)
        await at.proxy.aborts("client_gone", 2)
        at.gates.open("first0", "last")
        assert (await last.answer()).body == SMALL_LIST
        assert at.gates.began == ["first0", "first1", "last"]


async def test_what_is_no_list_passes() -> None:
    """Gets, writes and watches are answered while Lists hold all the memory, and others wait for it."""
    async with stage() as at:
        await at.fill()
        await at.ask("late")
        for method in ("GET", "POST", "DELETE", "HEAD"):
            asked = request("/api/v1/namespaces/default/pods/a", b"Content-Length: 2", method=method, body=b"{}")
            assert (await at.proxy.ask(asked, method=method)).status == 200
        async with await at.proxy.connect() as client:
            at.gates.beginning = chunk(b'{"type":"ADDED"}\n')
            await client.send(request("/api/v1/pods?watch=true&labelSelector=watch"))
            await client.until(lambda: b"ADDED" in client.seen)
        assert at.waiting == 1
