"""What happens to documents and batches, one line each, for whoever configured a log (``flows.logs``)."""

from __future__ import annotations

import logging
from typing import Any

LOGGER = logging.getLogger("specmine")


def log_event(event: str, **values: Any) -> None:
    """Log that something happened, with what is known of it; nothing is done where nobody listens.

    Values are JSON-able, and never secrets: no settings, no URLs with passwords.
    """
    LOGGER.info(event, extra={"values": values})
