"""What a service's tests see of what was logged."""

import logging

import pytest

from shared_core import context
from shared_core.testing import capture_logs as capture

logger = logging.getLogger("apps.tickets")


def test_records_are_parsed_with_bound_fields_and_masked_secrets(capture_logs):
    with context.bind(request_id="0f8fad5b"):
        logger.info("Ticket %s", "opened", extra={"ticket_id": 42, "token": "s3cret"})

    (record,) = capture_logs
    assert (record["level"], record["logger"], record["message"]) == ("INFO", "apps.tickets", "Ticket opened")
    assert record["fields"] == {"ticket_id": 42, "token": "***", "request_id": "0f8fad5b"}


def test_a_logger_and_a_level_can_be_chosen():
    with capture("apps.tickets", "ERROR") as records:
        logger.warning("no")
        logging.getLogger("apps.users").error("no")
        logging.getLogger("apps.tickets.services").error("yes")

    assert [record["message"] for record in records] == ["yes"]


def test_the_logger_is_reset_after_the_block():
    before = (logger.level, list(logger.handlers))
    with pytest.raises(ValueError, match="oops"), capture("apps.tickets", "DEBUG"):
        raise ValueError("oops")

    assert (logger.level, logger.handlers) == before


def test_records_logged_after_the_block_are_not_captured():
    with capture() as records:
        pass
    logger.error("later")

    assert records == []
