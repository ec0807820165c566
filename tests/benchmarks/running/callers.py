"""What does it cost to know who calls?"""

import statistics

import jwt
from django.test import RequestFactory

from shared_core.auth.callers import caller_of
from shared_core.clients import ServiceToken
from tests.benchmarks.figures import Bound, Ratios, Result
from tests.benchmarks.running.service import AUDIENCE, ISSUER, KEY, TOKEN
from tests.benchmarks.running.turns import in_turn

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
    taken = in_turn(works, rounds=rounds, times=2000)
    ratio, token = Ratios(taken["jwt"], taken["PyJWT alone"]), statistics.median(taken["token"]) * 1e6
    lines = [f"auth, {rounds} rounds of 2,000 each; medians:"]
    lines += [f"  {name:<45} {statistics.median(seconds) * 1e6:>8.1f} us" for name, seconds in taken.items()]
    lines.append(f"  a JWT beside PyJWT alone: {ratio}")
    bounds = [Bound(what="a token", figure=token, limit=TOKEN_AT_MOST, unit=" us")]
    return Result("auth", lines, [*bounds, ratio.bound("a JWT beside PyJWT alone", JWT_AT_MOST)])
