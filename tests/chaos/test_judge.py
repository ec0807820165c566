"""The judge sees what must not be, and nothing in what may be."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.chaos import judge
from tests.chaos.fleet import Usage
from tests.chaos.judge import Facts, Row
from tests.chaos.ledger import Call, Comment, Ledger, Ticket
from tests.chaos.soak import Sample, grown


@pytest.fixture
def ledger():
    """A ticket that is live, with a comment and a deleted one; and one that is deleted, with a comment."""
    ledger = Ledger()
    ledger.users, ledger.attachments = ["u1"], ["a1"]
    written = Comment("c1", is_written=True, pk="1")
    gone = Comment("c2", is_written=True, is_deletion_asked=True, is_deleted=True, pk="2")
    ledger.tickets = [
        Ticket("t1", attachment="a1", pk="p1", state="live", comments=[written, gone, Comment("c3")]),
        Ticket("t2", pk="p2", state="deleted", comments=[Comment("c4", is_written=True, pk="4")]),
        Ticket("t3"),
    ]
    return ledger


@pytest.fixture
def facts():
    """What must be there."""
    return Facts(
        tickets=[Row("p1", "t1", False), Row("p2", "t2", True)],
        comments=[Row("1", "c1", False, "p1"), Row("2", "c2", True, "p1"), Row("4", "c4", True, "p2")],
        references=[Row("r1", "a1", False, "p1")],
        marked=frozenset({"p1", "p2"}),
        notified=Counter({"p1": 1, "p2": 1}),
        users=frozenset({"u1"}),
        attachments=frozenset({"a1"}),
        stored=frozenset({"a1"}),
    )


def test_nothing_is_wrong_with_what_was_promised(ledger, facts):
    assert judge.violations(ledger, facts, all_told=True) == []


def test_what_was_not_acknowledged_may_be_there(ledger, facts):
    more = replace(
        facts,
        tickets=[*facts.tickets, Row("p3", "t3", False)],
        comments=[*facts.comments, Row("3", "c3", False, "p1")],
    )

    assert judge.violations(ledger, more) == []
    assert judge.violations(ledger, more, all_told=True) == ["t3: nobody was notified"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tickets": [Row("p2", "t2", True)], "comments": [Row("4", "c4", True, "p2")], "references": []},
            "t1: opened",
        ),
        ({"tickets": [Row("p1", "t1", False), Row("p2", "t2", False)]}, "t2: deleted, and live in the database"),
        ({"comments": [Row("2", "c2", True, "p1"), Row("4", "c4", True, "p2")]}, "t1: c1 was written"),
        ({"references": []}, "t1: its attachment"),
        ({"users": frozenset()}, "user u1: created"),
        ({"attachments": frozenset()}, "attachment a1: uploaded"),
        ({"stored": frozenset()}, "attachment a1: uploaded"),
        ({"notified": Counter({"p1": 2, "p2": 1})}, "ticket p1: notified 2 times"),
        ({"notified": Counter({"p1": 1})}, "ticket p2: marked as told, and nobody was notified"),
        ({"references": [Row("r1", "a1", False, "p1"), Row("r2", "a1", False, "p1")]}, "a1: there 2 times"),
    ],
)
def test_what_is_lost_or_done_twice_is_said(ledger, facts, changes, said):
    found = judge.violations(ledger, replace(facts, **changes))

    assert any(line.startswith(said) for line in found), found


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        (Row("1", "c1", True, "p1"), "c1: deleted, and its ticket is live"),
        (Row("4", "c4", False, "p2"), "c4: live under a deleted ticket"),
        (Row("2", "c2", False, "p1"), "t1: c2 was deleted, and is live"),
        (Row("9", "c1", False, "p1"), "c1: there 2 times"),
    ],
)
def test_half_a_cascade_is_said(ledger, facts, comment, said):
    rows = [*(row for row in facts.comments if row.pk != comment.pk), comment]

    assert said in judge.violations(ledger, replace(facts, comments=rows))


def test_a_ticket_in_doubt_may_be_either_and_is_taken_over(ledger, facts):
    ledger.tickets[1].is_doubtful, ledger.tickets[1].state = True, "live"
    said = judge.violations(ledger, facts)
    judge.settle(ledger, facts)

    assert said == []
    assert (ledger.tickets[1].state, ledger.tickets[1].is_doubtful) == ("deleted", False)


class Late:
    def __init__(self, seconds):
        self.seconds = seconds

    def during(self, began, seconds):
        return self.seconds


def test_who_waits_a_tenth_longer_than_the_deadline_waits_too_long():
    calls = [Call("open", 0, 3.2), Call("read", 5, 3.4)]

    assert judge.late(calls, 3.0, Late(0)) == ["read took 3.40 s of 3 s"]
    assert judge.late(calls, 3.0, Late(0.2)) == []


def held(memory=100.0, files=20, connections=40, half_closed=0):
    return Usage({"user": memory}, {"user": files}, {"user": 5}, half_closed, connections)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (held(), []),
        (held(memory=120), []),
        (held(memory=170), ["user: memory 100 -> 170"]),
        (held(files=80), ["user: files 20 -> 80"]),
        (held(connections=99), ["server connections: 99, of 88 that there may be"]),
        (held(half_closed=30), ["sockets that only the other side closed: 0 -> 30"]),
    ],
)
def test_what_is_not_back_where_it_was_is_said(after, said):
    assert judge.grown(held(), after, memory=60, files=24, threads=6, connections=88) == said


@pytest.mark.parametrize(("leak", "said"), [(0.0, []), (0.5, ["user: memory 125 -> 155"])])
def test_what_grows_all_the_time_is_not_flat(leak, said):
    samples = [Sample(at * 5.0, at * 100, held(memory=100 + round(leak * at * 100 / 100, 1))) for at in range(80)]

    assert [line.partition(" ->")[0].rpartition(" ")[0] for line in grown(samples)] == [
        line.partition(" ->")[0].rpartition(" ")[0] for line in said
    ]
