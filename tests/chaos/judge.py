"""What must hold when the load rests: it compares what callers were told with what the databases have."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.fleet import Fleet, Usage
from tests.chaos.ledger import ATTACHED, Call, Lag, Ledger, Ticket

LATE = 1.1  # times its deadline that a caller may wait


@dataclass(frozen=True)
class Row:
    """A row of ticket-service's: a ticket, or what belongs to one."""

    pk: str
    text: str  # a ticket's key, a comment's text, an attachment's id
    is_deleted: bool
    ticket: str = ""  # the ticket's pk


@dataclass(frozen=True)
class Facts:
    """What is in the databases, and on file-service's disk."""

    tickets: list[Row]
    comments: list[Row]
    references: list[Row]
    marked: frozenset[str]  # pks of tickets of which somebody was notified, as ticket-service has it
    notified: Counter[str]  # times, by the ticket's pk
    users: frozenset[str]
    attachments: frozenset[str]
    stored: frozenset[str]  # whole


def facts(fleet: Fleet) -> Facts:
    """Ask all databases, round the pooler, each at one moment."""
    tickets, comments, references, marked = fleet.query_at_once(
        "ticket",
        "SELECT id::text, idempotency_key, is_deleted FROM tickets_ticket",
        "SELECT id::text, text, is_deleted, ticket_id::text FROM tickets_comment",
        "SELECT id::text, attachment_id::text, is_deleted, ticket_id::text FROM tickets_attachmentreference",
        "SELECT id::text FROM tickets_ticket WHERE notified_at IS NOT NULL",
    )
    notified = "SELECT ticket_id::text, count(*) FROM messaging_notification GROUP BY 1"
    store = Path(fleet["file"].environment["FILE_STORAGE"])
    return Facts(
        tickets=[Row(*row) for row in tickets],
        comments=[Row(*row) for row in comments],
        references=[Row(*row) for row in references],
        marked=frozenset(pk for (pk,) in marked),
        notified=Counter(dict(fleet.query("communication", notified))),
        users=frozenset(pk for (pk,) in fleet.query("user", "SELECT id::text FROM users_user")),
        attachments=frozenset(pk for (pk,) in fleet.query("file", "SELECT id::text FROM attachments_attachment")),
        stored=frozenset(path.name for path in store.glob("*") if path.stat().st_size == ATTACHED),
    )


def violations(ledger: Ledger, found: Facts, *, all_told: bool = False) -> list[str]:
    """Return what does not hold, a line each; with ``all_told``, each active ticket must have been notified of."""
    return [
        *ledger.lies,
        *_lost(ledger, found),
        *_doubled(found),
        *_half(ledger, found),
        *(f"ticket {pk}: marked as told, and nobody was notified" for pk in found.marked if not found.notified[pk]),
        *(_untold(found) if all_told else ()),
    ]


def late(calls: Iterable[Call], deadline: float, lag: Lag) -> list[str]:
    """Return the calls that took longer than their deadline and a tenth, beyond what this process itself was late."""
    return [
        f"{call.what} took {call.seconds:.2f} s of {deadline:g} s"
        for call in calls
        if call.seconds > deadline * LATE and call.seconds > deadline * LATE + lag.during(call.began, call.seconds)
    ]


def settle(ledger: Ledger, found: Facts) -> None:
    """Take over what became of tickets in doubt, now that no request is under way."""
    deleted = {row.pk: row.is_deleted for row in found.tickets}
    for ticket in ledger.tickets:
        if ticket.is_doubtful and ticket.pk in deleted:
            ticket.state, ticket.is_doubtful = "deleted" if deleted[ticket.pk] else "live", False


def grown(before: Usage, after: Usage, *, memory: float, files: int, threads: int, connections: int) -> list[str]:
    """Return what the fleet holds more of than before, beyond what is allowed: megabytes, and numbers."""
    said = []
    for what, allowed in (("memory", memory), ("files", files), ("threads", threads)):
        old, new = getattr(before, what), getattr(after, what)
        said += [f"{name}: {what} {old[name]:g} -> {new[name]:g}" for name in new if new[name] > old[name] + allowed]
    if after.server_connections > connections:
        said.append(f"server connections: {after.server_connections}, of {connections} that there may be")
    if after.half_closed > before.half_closed + files:
        said.append(f"sockets that only the other side closed: {before.half_closed} -> {after.half_closed}")
    return said


def _lost(ledger: Ledger, found: Facts) -> Iterator[str]:
    """Acknowledged, and not there."""
    tickets = {row.pk: row for row in found.tickets}
    comments = {row.text: row for row in found.comments}
    referred = {(row.ticket, row.text) for row in found.references}
    for ticket in ledger.tickets:
        if not ticket.pk:
            continue
        row = tickets.get(ticket.pk)
        if row is None or row.text != ticket.key:
            yield f"{ticket.key}: opened, and not there"
            continue
        if ticket.attachment and (ticket.pk, ticket.attachment) not in referred:
            yield f"{ticket.key}: its attachment is not there"
        if ticket.state != "unknown" and not ticket.is_doubtful and row.is_deleted != (ticket.state == "deleted"):
            yield f"{ticket.key}: {ticket.state}, and {'deleted' if row.is_deleted else 'live'} in the database"
        for comment in ticket.comments:
            if comment.is_written and comment.text not in comments:
                yield f"{ticket.key}: {comment.text} was written, and is not there"
            elif comment.is_deleted and not comments[comment.text].is_deleted:
                yield f"{ticket.key}: {comment.text} was deleted, and is live"
    yield from (f"{c.text} was written, and is not there" for c in ledger.beside if c.text not in comments)
    yield from (f"user {pk}: created, and not there" for pk in ledger.users if pk not in found.users)
    for pk in ledger.attachments:
        if pk not in found.attachments or pk not in found.stored:
            yield f"attachment {pk}: uploaded, and not there"


def _doubled(found: Facts) -> Iterator[str]:
    """Done twice."""
    for rows in (found.tickets, found.comments, found.references):
        counts = Counter(row.text for row in rows)
        yield from (f"{text}: there {count} times" for text, count in counts.items() if count > 1)
    yield from (f"ticket {pk}: notified {count} times" for pk, count in found.notified.items() if count > 1)


def _half(ledger: Ledger, found: Facts) -> Iterator[str]:
    """Deleted or restored in part."""
    deleted = {row.pk: row.is_deleted for row in found.tickets}
    alone = {c.text for ticket in ledger.tickets for c in ticket.comments if c.is_deletion_asked}
    for row in [*found.comments, *found.references]:
        if deleted[row.ticket] and not row.is_deleted:
            yield f"{row.text}: live under a deleted ticket"
        elif row.is_deleted and not deleted[row.ticket] and row.text not in alone:
            yield f"{row.text}: deleted, and its ticket is live"


def _untold(found: Facts) -> Iterator[str]:
    told = found.notified
    yield from (f"{row.text}: nobody was notified" for row in found.tickets if not row.is_deleted and not told[row.pk])


def known(ledger: Ledger) -> list[Ticket]:
    """Return the tickets that were acknowledged."""
    return [ticket for ticket in ledger.tickets if ticket.pk]
