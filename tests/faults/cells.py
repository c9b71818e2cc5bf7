"""The matrix: fault x position x plan x form x client; what of it makes no sense, and what may go unnoticed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.fakes.paged import Page, PagedList, Shape
from tests.faults.faults import FAULTS, Fault
from tests.faults.messages import Message, Position, Step

Form = Literal["typed", "custom"]
FORMS: tuple[Form, ...] = ("typed", "custom")

CLIENTS = ("quick", "curl", "python", "kubectl")
"""The quick one is this process's own; it judges framing alone, as curl does. The others parse what they get."""

JUDGES_FRAMING = frozenset({"quick", "curl"})
DOMAIN = "faults.example"
ITEMS, PAGE = 12, 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How the proxy treats a List, and which page a fault befalls: each time, or the first time alone."""

    name: str
    mode: str
    page: int = 1
    once: bool = False

    @property
    def group(self) -> str:
        """Return the API group whose Lists have this plan by a route of the settings."""
        return f"{self.mode}.{DOMAIN}"


PLANS = (
    Plan("raw", "raw"),
    Plan("streamed", "streamed"),
    Plan("buffered", "buffered"),
    Plan("paged, page 1", "paged"),
    Plan("paged, page 2", "paged", 2),
    Plan("paged, page 1 once", "paged", 1, once=True),
    Plan("paged, page 2 once", "paged", 2, once=True),
)


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Cells in which a client may get, without an error, the wrong bytes that the upstream has sent; why that is so."""

    reason: str
    plans: frozenset[str]
    faults: frozenset[str]
    clients: frozenset[str]

    def covers(self, cell: "Cell") -> bool:
        """Whether a cell is one of them."""
        return (
            cell.position in cell.fault.intact
            and cell.plan.name in self.plans
            and cell.fault.name in self.faults
            and cell.client in self.clients
        )


ENCODED = frozenset({"damaged gzip"})
INTACT = frozenset(fault.name for fault in FAULTS if fault.intact)

UNJUDGED = (
    Unjudged(
        "raw forwards what it cannot judge, and this client does not look into a body whose framing is whole",
        frozenset({"raw"}),
        INTACT - ENCODED,
        JUDGES_FRAMING,
    ),
    Unjudged(
        "what comes encoded, though identity was asked for, goes on as raw; this client does not decode it",
        frozenset(plan.name for plan in PLANS if plan.page == 1),
        ENCODED,
        frozenset({"quick"}),
    ),
    Unjudged(
        "raw forwards what it cannot judge, and Go's decoder puts U+FFFD where a string is not UTF-8",
        frozenset({"raw"}),
        frozenset({"broken UTF-8"}),
        frozenset({"kubectl"}),
    ),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix. `number` names its resource, so that nothing is learnt in one for another."""

    number: int
    fault: Fault
    position: Position
    plan: Plan
    form: Form
    client: str

    def __str__(self) -> str:
        """Return what picks it on the command line."""
        return "/".join((self.client, self.plan.name, self.form, self.fault.name, self.position.value))

    @property
    def resource(self) -> str:
        """Return the resource whose List this is about."""
        return f"c{self.number}"

    @property
    def kind(self) -> str:
        """Return the kind of its items."""
        return f"C{self.number}"

    @property
    def path(self) -> str:
        """Return what a client asks for."""
        return f"/apis/{self.plan.group}/v1/{self.resource}"

    @property
    def unjudged(self) -> str:
        """Return why this client may not notice, nothing if it has to."""
        return next((each.reason for each in UNJUDGED if each.covers(self)), "")

    @property
    def must_be_exact(self) -> bool:
        """Whether no error will do."""
        return self.fault.harmless or (self.fault.heals and self.plan.once)

    def served(self) -> PagedList:
        """Return the List as its upstream has it."""
        api = f"{self.plan.group}/v1"
        shape = Shape(self.path, f"{self.kind}List", api, is_custom=self.form == "custom")
        items = tuple(_item(api, self.kind, number) for number in range(ITEMS))
        return PagedList(shape, items, "chunked", chunk_size=700, sizes=(PAGE, PAGE))

    def steps(self, page: Page) -> list[Step]:
        """Return what the upstream does instead of serving a page."""
        return self.fault.steps(Message.of(page.body, page.items, self.position))


def _item(api: str, kind: str, number: int) -> bytes:
    text = f'{{"apiVersion":"{api}","kind":"{kind}","metadata":{{"name":"item-{number:04}"}},"spec":{{"note":'
    return text.encode() + b'"a\\u003cb \xc3\xa9 ]},{","pad":"' + b"x" * 600 + b'"}}'


def cells() -> Iterator[Cell]:
    """Yield every cell that makes sense."""
    number = 0
    for client in CLIENTS:
        for fault in FAULTS:
            for position in fault.positions:
                for plan in PLANS:
                    for form in FORMS:
                        number += 1
                        if not nonsense(fault, position, plan, form, client):
                            yield Cell(number, fault, position, plan, form, client)


def nonsense(fault: Fault, position: Position, plan: Plan, form: Form, client: str) -> str:
    """Return why there is no such cell, nothing where there is one."""
    if position not in fault.positions:
        return f"{fault.name}: {fault.elsewhere}"
    if fault.name == "refuse" and (plan.page > 1 or plan.once):
        return "refuse: the cells with nobody listening have nobody who would serve the other pages"
    if form != "typed" and client != "quick":
        return (
            f"{form} List x {client}: where its members stand is lost on clients that parse; the quick one looks at it"
        )
    return ""


def left_out() -> dict[str, int]:
    """Return how many combinations each reason leaves out."""
    counts: dict[str, int] = {}
    for client in CLIENTS:
        for fault in FAULTS:
            for position in Position:
                for plan in PLANS:
                    for form in FORMS:
                        if reason := nonsense(fault, position, plan, form, client):
                            counts[reason] = counts.get(reason, 0) + 1
    return counts
