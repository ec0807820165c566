"""Ids that go from service to service: the request id, and the trace (W3C Trace Context)."""

import re
import secrets

from shared_core.context.bindings import current_bindings

# A request id arrives from outside and goes into headers and log lines: nothing but these characters may pass.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

# W3C Trace Context, version 00: https://www.w3.org/TR/trace-context/#traceparent-header. All zeros are invalid.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)


def request_id() -> str | None:
    """Return the id of the request being served, or None outside of one."""
    value = current_bindings().fields.get("request_id")
    return None if value is None else str(value)


def new_request_id() -> str:
    """Return a fresh request id: 32 hexadecimal digits, 128 random bits."""
    return secrets.token_hex(16)


def is_request_id(text: str) -> bool:
    """Say whether ``text`` may be used as a request id: 8 to 64 of ``A-Z a-z 0-9 . _ -``."""
    return _REQUEST_ID.fullmatch(text) is not None


def trace_fields(traceparent: str | None = None) -> dict[str, str]:
    """Return ``trace_id`` and a new ``span_id`` for work that continues ``traceparent``, or starts a trace.

    Args:
        traceparent: The caller's header, W3C Trace Context version 00. Anything else starts a new trace.
    """
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return {"trace_id": match[1] if match else secrets.token_hex(16), "span_id": secrets.token_hex(8)}


def outgoing_headers() -> dict[str, str]:
    """Return the headers that carry this request's ids to the service called next; empty outside of a request."""
    bound, headers = current_bindings().fields, {}
    if (identity := request_id()) is not None and is_request_id(identity):
        headers["X-Request-ID"] = identity
    # The caller's span becomes the parent of the callee's. Flag 01: recorded.
    traceparent = f"00-{bound.get('trace_id')}-{bound.get('span_id')}-01"
    if _TRACEPARENT.fullmatch(traceparent):
        headers["traceparent"] = traceparent
    return headers
