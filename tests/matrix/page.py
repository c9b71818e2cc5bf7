"""docs/clients.md: the outcomes as tables, with numbers that lead to why a cell is not simply the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.matrix.explanations import Explanation, explain
from tests.matrix.installing import Client
from tests.matrix.operations import OPERATIONS
from tests.matrix.outcomes import Outcome, Verdict
from tests.matrix.running import PODS, WIDGETS, Table

SAME = "✓"
MARKS: Mapping[Verdict, str] = {Verdict.LACKS: "n/a", Verdict.FAILS: "✗", Verdict.DIFFERS: "≠"}
UNEXPLAINED = "**?**"
CAPTIONS: Mapping[str, str] = {
    "auto": "## Everything, as the proxy does by default\n\n`mode: auto` before a server that says 1.34.",
    "auto-whole": "## Lists in every mode\n\n### `auto`, before a server that says 1.32\n\nLists are paged.",
    "streamed": "### `streamed`\n\nBefore 1.34.",
    "paged": "### `paged`\n\nBefore 1.32.",
    "buffered": "### `buffered`\n\nBefore 1.34.",
}
HEAD = f"""\
# Clients

What real clients see through the proxy, compared with what they see without it. `make matrix` wrote this page; the
clients' versions stand at the top of the columns, those of libraries are pinned in `tests/matrix`.

Each cell is one operation, done twice and in namespaces of their own: straight at the [embedded backend](backend.md),
and through `kube-restream serve`. Exit code and output, or what the library returned, are compared, with
resourceVersions, UIDs, times and names of namespaces replaced; of Lists ({PODS:,} pods, {WIDGETS} custom resources)
a hash over every item. A cell counts only if requests of it have passed the proxy.

| mark | what it says |
|---|---|
| {SAME} | works, and is the same |
| {MARKS[Verdict.LACKS]} | the client has no such operation |
| {MARKS[Verdict.FAILS]} | fails the same way without the proxy |
| {MARKS[Verdict.DIFFERS]} | differs, for the reason that the number tells |
"""


@dataclass
class Page:
    """The page as it grows: reasons are numbered as they come up."""

    known: Sequence[Explanation]
    used: list[Explanation] = field(default_factory=list)
    unexplained: list[tuple[str, str, str, Outcome]] = field(default_factory=list)

    def render(self, clients: Sequence[Client], tables: Sequence[Table]) -> str:
        """Return the whole page."""
        present = [client for client in clients if not client.missing]
        parts = [HEAD]
        for table in tables:
            parts += [CAPTIONS[table.setting.name], travelled(table), "\n".join(self.rows(present, table))]
        parts += self.reasons(clients)
        return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"

    def rows(self, clients: Sequence[Client], table: Table) -> Iterator[str]:
        """Yield the lines of a table."""
        yield "| | " + " | ".join(heading(client) for client in clients) + " |"
        yield "|---|" + ":-:|" * len(clients)
        for operation in table.setting.operations:
            cells = (self.cell(table, client.name, operation) for client in clients)
            yield f"| {OPERATIONS[operation]} | " + " | ".join(cells) + " |"

    def cell(self, table: Table, client: str, operation: str) -> str:
        """Return one cell, and number its reason."""
        outcome = table.outcomes[client, operation]
        if outcome.verdict is Verdict.SAME:
            return SAME
        reason = explain(self.known, client, operation, outcome)
        if reason is None:
            self.unexplained.append((table.setting.name, client, operation, outcome))
            return UNEXPLAINED
        if reason not in self.used:
            self.used.append(reason)
        number = self.used.index(reason) + 1
        return f"{MARKS[outcome.verdict]} [{number}](#reasons)"

    def reasons(self, clients: Sequence[Client]) -> list[str]:
        """Return the numbered reasons, and the clients that were not at hand."""
        lines = [f"{number}. {reason.text}" for number, reason in enumerate(self.used, 1)]
        parts = ["## Reasons", "\n".join(lines)] if lines else []
        if missing := [f"* {client.name} {client.version}: {client.missing}." for client in clients if client.missing]:
            parts += ["## Not at hand", "\n".join(missing)]
        return parts


def heading(client: Client) -> str:
    """Return a column's heading: what it is called without a version, and its version."""
    return f"{client.name.partition(' ')[0]}<br>{client.version}"


def travelled(table: Table) -> str:
    """Tell how many responses the proxy has sent, by mode."""
    if not table.modes:
        return ""
    told = ", ".join(f"{count:,} {mode}" for mode, count in sorted(table.modes.items()))
    return f"Responses: {told}."
