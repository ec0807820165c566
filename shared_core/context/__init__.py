"""Fields of the work at hand, in each of its log lines and in the calls that are made for it.

with context.bind(ticket_id=ticket.id):
logger.info("Ticket opened")          # … ticket_id=0198… request_id=0f8fad5b…
"""

from shared_core.context.bindings import ContextExecutor, bind, current
from shared_core.context.propagation import request_id

__all__ = ["ContextExecutor", "bind", "current", "request_id"]
