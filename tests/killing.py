"""Python code in a process of its own that tells its stages line by line, killed with SIGKILL in some of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence


def killed_at(code: str, arguments: Sequence[str], moments: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Run ``code`` once for each moment, kill it there, and yield the moment where it was killed.

    A moment is a stage and a number: the process dies when it has said more than so many lines that begin with it.
    """
    for stage, after in moments:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert process.stdout is not None
        seen, killed = 0, False
        for line in process.stdout:
            seen += line.startswith(stage)
            if seen > after:
                process.send_signal(signal.SIGKILL)
                killed = True
                break
        process.wait()
        if killed:
            yield stage, after
