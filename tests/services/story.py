"""One story of a help desk, told to four running services; each step says what was expected and what was seen.

The demo prints it, the journeys assert it.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shared_core.clients import HTTPClient, ServiceHTTPError, ServiceTimeout
from shared_core.context.propagation import new_request_id
from shared_core.logs import parse_line
from tests.services.fleet import Fleet

TICKETS_DURING_OUTAGE = 40
OUTAGE = 4.0  # seconds for which user-service is away
_PATIENCE = 60.0  # seconds in which every ticket of the outage must have been opened


@dataclass(frozen=True)
class Check:
    """Something that must hold: what, what was expected, what was seen."""

    what: str
    expected: Any
    seen: Any

    @property
    def holds(self) -> bool:
        return bool(self.expected == self.seen)


@dataclass
class Story:
    """The steps, in their order; each yields its checks and leaves in the attributes what later steps need."""

    fleet: Fleet
    user: dict[str, Any] = field(default_factory=dict)
    ticket: dict[str, Any] = field(default_factory=dict)
    request_id: str = field(default_factory=new_request_id)

    def steps(self) -> Iterator[tuple[str, Callable[[], Iterator[Check]]]]:
        """Yield the title and the function of each step."""
        yield "create a user", self.create_user
        yield "open a ticket with a file: one request through all four services", self.open_ticket
        yield "comment on it", self.comment
        yield "refuse what is unknown", self.refuse_strangers
        yield "open tickets while user-service is killed and comes back", self.outage
        yield "delete the ticket", self.delete
        yield "restore it", self.restore
        yield "follow one request through four logs", self.trace

    def client(self, name: str, caller: str = "gateway") -> HTTPClient:
        """Return a client for a service of the fleet, with the token of one of its callers."""
        # People try again, whatever came before; the services keep their circuits.
        service = self.fleet[name]
        return HTTPClient(service.url, service=name, token=service.tokens[caller], breaker=None, budget=None)

    def create_user(self) -> Iterator[Check]:
        """A user is created and can be read by her id."""
        with self.client("user") as users:
            self.user = users.post_json(
                "/api/v1/users", {"email": f"ada-{new_request_id()[:8]}@example.com", "name": "Ada"}
            )
            read = users.get_json(f"/api/v1/users/{self.user['id']}")
        yield Check("user is readable by id", self.user["email"], read["email"])

    def open_ticket(self) -> Iterator[Check]:
        """A file is uploaded, and a ticket opened that refers to it; the request id is ours to follow."""
        content = b"screenshot " * 10_000
        with self.client("file") as files, self.client("ticket") as tickets:
            attachment = files.post("/api/v1/attachments?name=screen.png", data=content).json()
            downloaded = files.get(f"/api/v1/attachments/{attachment['id']}/content").content
            body = {"title": "Printer on fire", "requestor_id": self.user["id"], "attachment_id": attachment["id"]}
            response = tickets.post("/api/v1/tickets", json=body, headers={"X-Request-ID": self.request_id})
            self.ticket = response.json()
        yield Check("file comes back as it was sent", True, downloaded == content)
        yield Check("ticket is opened", 201, response.status_code)
        yield Check("its request keeps its id", self.request_id, response.headers["X-Request-ID"])
        yield Check("requestor was told once", 1, len(self._notifications(self.ticket["id"])))

    def comment(self) -> Iterator[Check]:
        """Three comments are written, and one of them is deleted by itself."""
        path = f"/api/v1/tickets/{self.ticket['id']}"
        with self.client("ticket") as tickets:
            comments = [
                tickets.post_json(f"{path}/comments", {"author_id": self.user["id"], "text": text})
                for text in ("It smells.", "Never mind.", "It burns.")
            ]
            tickets.delete(f"/api/v1/comments/{comments[1]['id']}")
            detail = tickets.get_json(path)
        yield Check("comments on the ticket", ["It smells.", "It burns."], _texts(detail))

    def refuse_strangers(self) -> Iterator[Check]:
        """A requestor or a file that does not exist is the caller's mistake, not an outage."""
        nobody = "00000000-0000-7000-8000-000000000000"
        with self.client("ticket") as tickets:
            for body in ({"requestor_id": nobody}, {"requestor_id": self.user["id"], "attachment_id": nobody}):
                status = _status(lambda: tickets.post("/api/v1/tickets", json={"title": "?", **body}))  # noqa: B023
                yield Check(f"unknown {list(body)[-1].removesuffix('_id')}", 422, status)

    def outage(self) -> Iterator[Check]:
        """user-service is killed and started again while tickets are opened, each repeated until it is there."""
        keys = [f"outage-{new_request_id()}" for _ in range(TICKETS_DURING_OUTAGE)]
        answers: Counter[int] = Counter()
        opened: dict[str, str] = {}
        end = time.monotonic() + _PATIENCE

        def open_tickets(mine: list[str]) -> None:
            with self.client("ticket") as tickets:
                for key in mine:
                    while key not in opened and time.monotonic() < end:
                        body = {"title": key, "requestor_id": self.user["id"]}
                        try:
                            response = tickets.post("/api/v1/tickets", json=body, idempotency_key=key, retries=0)
                        except ServiceHTTPError as error:
                            answers[error.response.status_code] += 1
                            time.sleep(0.2)
                        except ServiceTimeout:
                            continue  # on a slow machine: no answer, and the key makes it safe to ask again
                        else:
                            answers[response.status_code] += 1
                            opened[key] = response.json()["id"]

        threads = [threading.Thread(target=open_tickets, args=(keys[start::4],)) for start in range(4)]
        users = self.fleet["user"]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        users.kill()
        time.sleep(OUTAGE)
        users.stop()
        users.start()
        users.wait_until_ready()
        for thread in threads:
            thread.join()
        with self.client("ticket") as tickets:
            listed = Counter(row["title"] for row in _all(tickets, "/api/v1/tickets"))
        yield Check("tickets opened, of those asked for", len(keys), len(opened))
        yield Check("each is there exactly once", {1}, {listed[key] for key in keys})
        yield Check("the outage was seen, as 503", True, answers[503] > 0)
        yield Check("it never read as anything else", set(), set(answers) - {200, 201, 503})
        told = {key: len(self._notifications(opened[key])) for key in opened}
        yield Check("each was told of exactly once", {1}, set(told.values()))

    def delete(self) -> Iterator[Check]:
        """The ticket is deleted, and what went with it is listed."""
        with self.client("ticket") as tickets:
            counts = tickets.delete(f"/api/v1/tickets/{self.ticket['id']}").json()["by_model"]
            status = _status(lambda: tickets.get(f"/api/v1/tickets/{self.ticket['id']}"))
        yield Check("went along", _WITH_THE_TICKET, counts)
        yield Check("ticket is not found any more", 404, status)

    def restore(self) -> Iterator[Check]:
        """It is restored: exactly what went comes back, and not the comment that was deleted before."""
        path = f"/api/v1/tickets/{self.ticket['id']}"
        with self.client("ticket") as tickets:
            counts = tickets.post(f"{path}/restore").json()["by_model"]
            detail = tickets.get_json(path)
        yield Check("came back", _WITH_THE_TICKET, counts)
        yield Check("comments on the ticket", ["It smells.", "It burns."], _texts(detail))

    def trace(self) -> Iterator[Check]:
        """The lines of the request that opened the ticket are found in all four logs by its id."""
        services = {record["fields"]["service"] for record in self.records()}
        yield Check("services that logged the request", {"user", "ticket", "file", "communication"}, services)

    def records(self) -> list[dict[str, Any]]:
        """Return the log records of the request that opened the ticket, of all services, in time."""
        lines = [line for service in self.fleet for line in service.log_file.read_text().splitlines()]
        records = [parse_line(line) | {"line": line} for line in lines]
        mine = [record for record in records if record["fields"].get("request_id") == self.request_id]
        return sorted(mine, key=lambda record: record["time"])

    def _notifications(self, ticket_id: str) -> list[dict[str, Any]]:
        with self.client("communication") as messages:
            return list(_all(messages, f"/api/v1/notifications?ticket_id={ticket_id}"))


_WITH_THE_TICKET = {"tickets.Ticket": 1, "tickets.Comment": 2, "tickets.AttachmentReference": 1}


def _texts(ticket: dict[str, Any]) -> list[str]:
    return [comment["text"] for comment in ticket["comments"]]


def _status(call: Callable[[], Any]) -> int:
    try:
        return int(call().status_code)
    except ServiceHTTPError as error:
        return int(error.response.status_code)


def _all(client: HTTPClient, path: str) -> Iterator[dict[str, Any]]:
    """Yield the results of every page of a list."""
    page, seen = 1, 0
    while True:
        joint = "&" if "?" in path else "?"
        answer = client.get_json(f"{path}{joint}page={page}&page_size=100")
        yield from answer["results"]
        page, seen = page + 1, seen + len(answer["results"])
        if seen >= answer["count"] or not answer["results"]:
            return
