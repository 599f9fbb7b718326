"""Settings, Prefect flows and reports: the only room that imports prefect."""

# Prefect reads its environment when it is first imported, and whatever imports it here imports this package first.
from flows import prefect_env as prefect_env
