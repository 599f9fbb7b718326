"""What a Qdrant server that fails is told as: it may be gone, slow, or refuse, at any request."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from qdrant_client.http.exceptions import ApiException

from indexing.home import SpecmineError

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def in_one_line(method: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Let a method raise SpecmineError in one line where the server failed it."""

    @wraps(method)
    def asking(*arguments: Given.args, **named: Given.kwargs) -> Returned:
        try:
            return method(*arguments, **named)
        except (ApiException, OSError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise SpecmineError(
                f"the Qdrant server failed ({reason}): run the same command again once it answers; what is served is "
                "as it was"
            ) from error

    return asking
