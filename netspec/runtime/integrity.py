"""A model file's seal: the SHA-256 of its own content, kept in its own metadata.

A flipped bit in a weight is a plausible number: of 200 such files onnxruntime loads every one and
onnx.checker passes every one. So the exporter writes PLACEHOLDER as the metadata property SEAL_KEY,
hashes the whole file so, and puts the hash in the placeholder's stead; whoever opens the file does
the same backwards. No byte lies outside the hash, and checking needs no package beyond the standard
library: the seal is found in the bytes, before anything parses them.

The seal tells damage, not malice: whoever changes a file on purpose can seal it anew.
"""

from __future__ import annotations

import hashlib
import re

SEAL_KEY = "netspec.sha256"
PLACEHOLDER = "0" * 64

# A StringStringEntryProto as protobuf writes it: field 1, the key, and field 2, the value, each
# with its length.
_ENTRY = re.compile(
    rb"\x0a" + bytes([len(SEAL_KEY)]) + re.escape(SEAL_KEY.encode()) + rb"\x12\x40([0-9a-f]{64})"
)


def seal(content: bytes) -> bytes:
    """The file's content with its one placeholder replaced by the SHA-256 of `content`.

    Raises ValueError where `content` has no metadata property SEAL_KEY that holds PLACEHOLDER, or
    more than one.
    """
    found = list(_ENTRY.finditer(content))
    if len(found) != 1 or found[0][1] != PLACEHOLDER.encode():
        raise ValueError(f"the content must hold one placeholder as '{SEAL_KEY}'")
    start, end = found[0].span(1)
    return content[:start] + hashlib.sha256(content).hexdigest().encode() + content[end:]


def find(content: bytes) -> str | None:
    """The seal that a file's content carries; None where it carries none or several."""
    found = _ENTRY.findall(content)
    return found[0].decode() if len(found) == 1 else None


def check(content: bytes, seal: str) -> bool:
    """Whether a file's content is what it was when `seal` was put into it."""
    found = list(_ENTRY.finditer(content))
    if len(found) != 1 or found[0][1] != seal.encode():
        return False
    start, end = found[0].span(1)
    whole = memoryview(content)
    digest = hashlib.sha256(whole[:start])
    digest.update(PLACEHOLDER.encode())
    digest.update(whole[end:])
    return digest.hexdigest() == seal
