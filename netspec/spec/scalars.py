"""Plain scalars by YAML 1.2's core schema."""

from __future__ import annotations

import math
import re
from typing import Any

LARGEST_INTEGER = 2**63 - 1

INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


def scalar(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema. Raises ValueError on an integer beyond 64 bits."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        base = 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10
        if len(text) <= 64 and abs(number := int(text, base)) <= LARGEST_INTEGER:
            return number
        raise ValueError(f"the integer {text[:20]}… does not fit 64 bits")
    return float(text) if FLOAT.fullmatch(text) else text
