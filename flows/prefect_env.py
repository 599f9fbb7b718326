"""Prefect's environment, set before Prefect is imported for the first time: the package imports this.

What the user has set wins.
"""

import os

DEFAULTS = {
    # A new database takes 14 seconds on two cores, more than Prefect waits by default.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # SQLite's one writer is waited for, rather than losing a state when the machine is busy.
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
}

for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)
