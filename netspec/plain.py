"""Plain data, as JSON takes it."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """With null for the numbers that JSON does not have: NaN and the infinities."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: finite(each) for key, each in value.items()}
        case list() | tuple():
            return [finite(each) for each in value]
    return value
