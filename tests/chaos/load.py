"""Callers, as a gateway has them: they open tickets, comment, delete, restore and read, and note what they are told."""

import functools
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from shared_core.clients import HTTPClient, NotFound, ServiceError, ServiceHTTPError
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import ATTACHED, Call, Comment, Ledger, State, Ticket
from tests.services.fleet import FleetError

DEADLINE = 3.0  # seconds that a caller gives a call, retries included
TIMEOUT = 2.0  # and each attempt
_KEPT = 40  # tickets that a caller goes on with
_PAUSE = 0.1  # seconds, after an error
_HANGS_AFTER = 2 * DEADLINE + 10.0  # seconds


class Load:
    """So many callers, each a thread; they share the process's clients."""

    def __init__(
        self, fleet: Fleet, callers: int, seed: int, *, pace: float = 0.0, ledger: Ledger | None = None
    ) -> None:
        """Prepare it; each caller makes a pause of ``pace`` seconds between its calls.

        Loads on one fleet have one ledger, and each a seed of its own: what they make is named by it.
        """
        self.ledger = ledger or Ledger()
        self._clients = {
            name: HTTPClient(
                fleet.entrance(name),
                service=name,
                token=fleet[name].tokens["gateway"],
                timeout=TIMEOUT,
                deadline=DEADLINE,
            )
            for name in ("user", "file", "ticket")
        }
        self._may_go, self._is_over = threading.Event(), threading.Event()
        self._callers = [
            _Caller(self, f"{seed}-{number}", random.Random(f"{seed} {number}"), pace) for number in range(callers)
        ]

    def __getitem__(self, name: str) -> HTTPClient:
        return self._clients[name]

    def start(self) -> None:
        """Let all begin, or go on."""
        self._may_go.set()
        for caller in self._callers:
            caller.begin()

    def pause(self) -> None:
        """Return once nobody waits for an answer.

        Raises:
            FleetError: Somebody has died, or waits for ever.
        """
        self._may_go.clear()
        end = time.monotonic() + _HANGS_AFTER
        for caller in self._callers:
            while not caller.is_resting.wait(0.1):
                if not caller.thread.is_alive():
                    raise FleetError(f"{caller.thread.name} has died; what it died of is on stderr")
                if time.monotonic() > end:
                    raise FleetError(f"{caller.thread.name} waits for an answer since {_HANGS_AFTER:g} s")

    def stop(self) -> None:
        """End all."""
        self._is_over.set()
        self._may_go.set()
        for caller in self._callers:
            if caller.thread.is_alive():
                caller.thread.join()
        for client in self._clients.values():
            client.close()

    def wait_for_turn(self) -> bool:
        """Return once they may go on, False where it is over."""
        self._may_go.wait()
        return not self._is_over.is_set()


class _Caller:
    """One that makes a call at a time, in a thread of its own."""

    def __init__(self, load: Load, name: str, choice: random.Random, pace: float) -> None:
        self.thread = threading.Thread(target=self._run, name=f"caller-{name}", daemon=True)
        self._load, self._ledger, self._random, self._pace = load, load.ledger, choice, pace
        self._mine: list[Ticket] = []
        self._user = ""
        self._own_name, self._count = name, 0
        self.is_resting = threading.Event()

    def begin(self) -> None:
        """Start the thread, where it was not started before."""
        if self.thread.ident is None:
            self.thread.start()

    def _run(self) -> None:
        while True:
            self.is_resting.set()
            if not self._load.wait_for_turn():
                return
            self.is_resting.clear()
            if not self._step():
                time.sleep(_PAUSE)
            elif self._pace:
                time.sleep(self._pace)

    def _step(self) -> bool:
        """Make one call, or two; False where it failed."""
        if not self._user or self._random.random() < 0.01:
            return self._create_user()
        for ticket in self._mine:
            if not ticket.pk:  # asked for again, with its key, until it is known
                return self._open(ticket)
        # What became of it is asked for, before it is gone on with.
        for ticket in self._mine:
            if ticket.state == "unknown":
                return self._read(ticket)
        if len(self._mine) >= _KEPT:
            self._mine.pop(0)
        live = [ticket for ticket in self._mine if ticket.state == "live"]
        dead = [ticket for ticket in self._mine if ticket.state == "deleted"]
        steps: list[tuple[int, Callable[[], bool]]] = [(4, self._open_new)]
        if live:
            one = self._random.choice(live)
            steps += [(6, lambda: self._comment(one)), (4, lambda: self._read(one)), (2, lambda: self._delete(one))]
            if written := [c for c in one.comments if c.is_written and not c.is_deletion_asked]:
                steps.append((1, lambda: self._delete_comment(one, self._random.choice(written))))
        if others := self._ledger.tickets[-_KEPT:]:
            steps.append((3, lambda: self._comment_on_anybodys(self._random.choice(others))))
        if dead:
            steps.append((2, lambda: self._restore(self._random.choice(dead))))
        weights, choices = zip(*steps, strict=True)
        return self._random.choices(choices, weights)[0]()

    def _name(self, what: str) -> str:
        self._count += 1
        return f"{what} {self._own_name}-{self._count}"

    def _call(
        self,
        what: str,
        call: Callable[[], Any],
        *,
        is_write: bool = True,
        may_be: Callable[[ServiceHTTPError], bool] = lambda failed: False,
    ) -> Any:
        """Return the answer, None where there was none; and note it.

        No fault makes a request wrong: a 4xx is a lie, but for what ``may_be``.
        """
        began, error, status, answer = time.monotonic(), "", 0, None
        try:
            answer = call()
        except ServiceHTTPError as failed:
            error, status = type(failed).__name__, failed.response.status_code
            if status < 500 and not may_be(failed):
                self._ledger.lie(f"{what}: answered {status}, {failed.response.text[:200]}")
        except ServiceError as failed:
            error = type(failed).__name__
        self._ledger.add(Call(what, began, time.monotonic() - began, error, status), is_write=is_write)
        return answer if not error else None

    def _create_user(self) -> bool:
        name = self._name("user")
        body = {"email": f"{name.replace(' ', '-')}@example.com", "name": name}
        answer = self._call("create user", lambda: self._load["user"].post_json("/api/v1/users", body))
        if answer is not None:
            self._user = answer["id"]
            self._ledger.users.append(self._user)
        return answer is not None

    def _open_new(self) -> bool:
        ticket = Ticket(self._name("ticket"), self._user)
        if self._random.random() < 0.1:
            path = f"/api/v1/attachments?name={ticket.key.replace(' ', '-')}"
            answer = self._call("upload", lambda: self._load["file"].post(path, data=b"x" * ATTACHED).json())
            if answer is None:
                return False
            ticket.attachment = answer["id"]
            self._ledger.attachments.append(answer["id"])
        self._mine.append(ticket)
        self._ledger.tickets.append(ticket)
        return self._open(ticket)

    def _open(self, ticket: Ticket) -> bool:
        body = {"title": ticket.key, "requestor_id": ticket.requestor}
        if ticket.attachment:
            body["attachment_id"] = ticket.attachment
        answer = self._call(
            "open",
            lambda: self._load["ticket"].post("/api/v1/tickets", json=body, idempotency_key=ticket.key).json(),
            may_be=_is_being_answered,
        )
        if answer is not None:
            ticket.pk, ticket.state = answer["id"], "live"
        return answer is not None

    def _comment(self, ticket: Ticket) -> bool:
        comment = Comment(self._name("comment"))
        ticket.comments.append(comment)
        body = {"author_id": self._user, "text": comment.text}
        path = f"/api/v1/tickets/{ticket.pk}/comments"
        answer = self._call("comment", lambda: self._load["ticket"].post_json(path, body), may_be=_gone(ticket))
        if answer is not None:
            comment.is_written, comment.pk = True, answer["id"]
        return answer is not None

    def _comment_on_anybodys(self, ticket: Ticket) -> bool:
        """Comment on a ticket that may be deleted at this moment: the comment goes along, or there is none."""
        if not ticket.pk:
            return True
        comment = Comment(self._name("comment"))
        body = {"author_id": self._user, "text": comment.text}
        path = f"/api/v1/tickets/{ticket.pk}/comments"

        def write() -> Any:
            try:
                return self._load["ticket"].post_json(path, body)
            except NotFound:
                return {}

        answer = self._call("comment on anybody's", write, is_write=False)
        if answer:
            comment.is_written, comment.pk = True, answer["id"]
            self._ledger.beside.append(comment)
        return answer is not None

    def _delete_comment(self, ticket: Ticket, comment: Comment) -> bool:
        comment.is_deletion_asked = True
        path = f"/api/v1/comments/{comment.pk}"
        call = functools.partial(self._load["ticket"].delete, path, retries=0)
        answer = self._call("delete comment", call, may_be=_gone(ticket))
        comment.is_deleted = answer is not None
        return answer is not None

    def _read(self, ticket: Ticket) -> bool:
        is_missing = False

        def read() -> Any:
            nonlocal is_missing
            try:
                return self._load["ticket"].get_json(f"/api/v1/tickets/{ticket.pk}")
            except NotFound:
                is_missing = True
                return None

        answer = self._call("read", read, is_write=False)
        if is_missing:
            if ticket.state == "live" and not ticket.is_doubtful:
                self._ledger.lie(f"{ticket.key}: not found, and nobody had deleted it")
            ticket.state = "deleted"
        elif answer is not None:
            ticket.state = "live"
            self._compare(ticket, answer)
        return is_missing or answer is not None

    def _compare(self, ticket: Ticket, answer: dict[str, Any]) -> None:
        read = {comment["text"] for comment in answer["comments"]}
        missing = [c.text for c in ticket.comments if c.is_written and not c.is_deletion_asked and c.text not in read]
        if missing:
            self._ledger.lie(f"{ticket.key}: read without its {', '.join(missing)}")

    def _delete(self, ticket: Ticket) -> bool:
        return self._change(ticket, "delete", "deleted")

    def _restore(self, ticket: Ticket) -> bool:
        return self._change(ticket, "restore", "live")

    def _change(self, ticket: Ticket, what: str, state: State) -> bool:
        ticket.state = "unknown"
        client, path = self._load["ticket"], f"/api/v1/tickets/{ticket.pk}"

        def change() -> Any:
            # Sent once: what was answered is the last word, and what was not may still be served.
            if what == "delete":
                return client.delete(path, retries=0)
            return client.post(f"{path}/restore", retries=0)

        answer = self._call(what, change, may_be=_gone(ticket))
        if answer is not None:
            ticket.state = state
        ticket.is_doubtful |= answer is None
        return answer is not None


def _is_being_answered(failed: ServiceHTTPError) -> bool:
    """A request with this key, which its caller gave up, is still being served."""
    return failed.response.status_code == 409 and "being answered" in failed.response.text


def _gone(ticket: Ticket) -> Callable[[ServiceHTTPError], bool]:
    """A deletion may still be under way which nobody waits for any more."""
    return lambda failed: ticket.is_doubtful and isinstance(failed, NotFound)
