"""A client of OpenAI's chat completions, as many servers speak them. What comes back is hostile until it is read."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from typing import Any

import httpx

from indexing.home import SpecmineError
from mining.generate_settings import EndpointSettings

_ATTEMPTS = 5
_FIRST_DELAY = 1.0  # seconds, doubled with each attempt, and as much again by chance
_LONGEST_DELAY = 60.0
_MOST_BYTES = 1_000_000
_MOST_TOKENS = 300

log = logging.getLogger(__name__)


class Endpoint:
    """One server and model. Safe to use from several threads. The key is in no message and in no log."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self._url = f"{settings.url.rstrip('/')}/chat/completions"
        key = os.environ.get(settings.key_variable, "").strip()
        if not key.isascii() or not key.isprintable():
            raise SpecmineError(f"the environment variable {settings.key_variable} holds no key: it is no plain text")
        # Redirects are not followed: they could carry passages and key elsewhere.
        self._client = httpx.Client(
            timeout=settings.seconds,
            follow_redirects=False,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )

    def complete(self, instruction: str, text: str, seed: int) -> str:
        """Return what the model answers to ``text`` under ``instruction``.

        Tried again, later and later, only where the server is busy (429) or fails (5xx). Raises SpecmineError in one
        line when it cannot be reached, refuses, is too slow, or does not speak the protocol.
        """
        body = {
            "model": self._settings.model,
            "messages": [{"role": "system", "content": instruction}, {"role": "user", "content": text}],
            "temperature": self._settings.temperature,
            "max_tokens": _MOST_TOKENS,
            "seed": seed % 2**31,
        }
        for attempt in range(_ATTEMPTS):
            status, answer, wished = self._post(body)
            if status == 200:
                return self._content(answer)
            if status != 429 and status < 500:
                raise self._error(f"answered {status}{_meaning(status)}")
            if attempt + 1 < _ATTEMPTS:
                delay = max(wished, _FIRST_DELAY * 2**attempt * (1 + random.random()))  # noqa: S311 - no secret
                log.warning("%s answered %d, asking again in %.1f s", self._url, status, min(delay, _LONGEST_DELAY))
                time.sleep(min(delay, _LONGEST_DELAY))
        raise self._error(
            f"answered {status} {_ATTEMPTS} times: try again later, or lower generate.endpoint.concurrency"
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _post(self, body: dict[str, Any]) -> tuple[int, bytes, float]:
        """Return status, body and the delay in seconds that the server wishes (0 for none)."""
        deadline = time.monotonic() + self._settings.seconds
        received = bytearray()
        try:
            with self._client.stream("POST", self._url, json=body) as response:
                for part in response.iter_bytes(65_536):
                    received += part
                    if len(received) > _MOST_BYTES:
                        raise self._error(f"sent more than {_MOST_BYTES:,} bytes")
                    if time.monotonic() > deadline:  # it may send a byte now and then for ever
                        raise httpx.ReadTimeout("")
                wished = response.headers.get("Retry-After", "")
                return response.status_code, bytes(received), float(wished) if wished.isdecimal() else 0.0
        except httpx.TimeoutException:
            raise self._error(f"gave no answer in {self._settings.seconds:g} seconds") from None
        except httpx.HTTPError as error:
            raise self._error(f"cannot be asked ({type(error).__name__}): is it running there?") from None

    def _content(self, answer: bytes) -> str:
        try:
            content = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, RecursionError, LookupError, TypeError):
            content = None
        if not isinstance(content, str):
            raise self._error("does not speak the chat completions protocol: there is no message in what it answers")
        return content

    def _error(self, what: str) -> SpecmineError:
        return SpecmineError(f"generate.endpoint: {self._url} {what}")


def _meaning(status: int) -> str:
    return {
        401: ": the key in the environment is missing or wrong",
        403: ": the key may not use it",
        404: ": look at url and model",
    }.get(status, "")
