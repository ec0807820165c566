"""Do retries keep servers down that come back? 10,000 processes call 100 servers, in a simulation.

    python -m tests.benchmarks.storm [rule …] [--processes N] [--servers N] [--json file]

Time is faked, and so are the servers; what decides whether a call is made, repeated and given up is the package's own
`RetryPolicy`, `RetryBudget` and `CircuitBreaker`. tests/clients/test_storm.py holds that a call of the simulation ends
as one of `HTTPClient` does, and that no storm follows an outage.

A server has 4 workers, each busy for 80 ms with a request (exponentially distributed), and a queue of 2,048, as
gunicorn has. What a caller has given up is answered all the same, but for the rule "ours", whose servers do not begin
it. Callers do not wait for each other (an open system: users keep coming), and make 35 calls a second for each server,
70 % of what it can do.

    0 s    all is well
    60 s   brown-out: a request takes 2.5 times as long, so that 57 % of the calls can be answered
    120 s  all is well
    180 s  outage: connections are refused, and what the servers had begun is lost
    240 s  all is well, until 360 s

The calls go to one address with 100 servers behind it, as a service's, or to 100 services of one server each, where a
process hears from each of them once in five minutes.
"""
