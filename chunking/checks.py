"""What the settings of all rooms check alike."""

from __future__ import annotations


def check_range(settings: object, name: str, low: float, high: float) -> None:
    """Raise ValueError, for the settings' reader to show, when the field ``name`` is not between both ends."""
    value = getattr(settings, name)
    if not low <= value <= high:
        raise ValueError(f"{name} must be {low} to {high}, not {value}")
