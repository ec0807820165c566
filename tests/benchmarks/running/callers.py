"""What does it cost to know who calls?"""

import statistics

import jwt
from django.test import RequestFactory

from shared_core.auth.callers import caller_of
from shared_core.clients import ServiceToken
from tests.benchmarks.figures import Figure, Result
from tests.benchmarks.running.service import AUDIENCE, ISSUER, KEY, TOKEN
from tests.benchmarks.turns import in_turn, repeated

TIMES = 2000
TOKEN_AT_MOST = 10.0  # us
JWT_AT_MOST = 1.2  # beside PyJWT alone


def auth(rounds: int) -> Result:
    """Measure a static token, and a JWT beside what PyJWT does alone."""
    signed = ServiceToken(ISSUER, AUDIENCE, KEY).mint().token
    requests = {
        name: RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        for name, token in (("token", TOKEN), ("jwt", signed))
    }
    assert {caller_of(request) for request in requests.values()} == {ISSUER}

    def pyjwt() -> None:
        required = {"require": ["exp", "iss", "aud", "sub"]}
        jwt.decode(signed, KEY, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, leeway=10, options=required)

    works = {
        "token": lambda: caller_of(requests["token"]),
        "jwt": lambda: caller_of(requests["jwt"]),
        "PyJWT alone": pyjwt,
    }
    taken = in_turn({name: repeated(work, TIMES) for name, work in works.items()}, rounds)
    ratio = taken["jwt"].beside(taken["PyJWT alone"], "a JWT beside PyJWT alone", JWT_AT_MOST)
    us = [seconds / TIMES * 1e6 for seconds in taken["token"].wall]
    token = Figure(
        what="to know a caller by a token",
        figure=statistics.median(us),
        limit=TOKEN_AT_MOST,
        unit=" us",
        low=min(us),
        high=max(us),
        raw=us,
    )
    lines = [f"auth, {rounds} rounds of {TIMES:,} each; medians:"]
    lines += [f"  {name:<45} {one.median / TIMES * 1e6:>8.1f} us" for name, one in taken.items()]
    return Result("auth", [*lines, f"  {ratio.what}: {ratio.spread}"], [token, ratio])
