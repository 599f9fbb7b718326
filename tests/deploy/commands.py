"""Whether a command line would be understood, by the very parsers that read it when it runs."""

from __future__ import annotations

from collections.abc import Sequence


def check_command(words: Sequence[str]) -> None:
    """Raise an exception of cyclopts' unless ``specmine …`` or ``prefect …`` understands these words."""
    if words[0] == "specmine":
        from cli.main import app

        if len(words) > 2 and words[-2] == "--config":  # launch takes it, before the command is looked for
            words = words[:-2]
    else:
        assert words[0] == "prefect", words[0]
        from prefect.cli._app import _app as app
    app.parse_args(list(words[1:]), exit_on_error=False, print_error=False)
