"""What makes a study this study: the digest of its identity, and whether two identities are the same."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# What a study had of a field that did not exist yet when it was made.
BEFORE: dict[str, Any] = {"constraints": [], "pretrained": [], "privacy": None}


def identity_digest(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def tracking_id(identity: Mapping[str, Any], study: str) -> str:
    """What tells a study of this identity and name from every other, wherever it is tracked."""
    return identity_digest({**BEFORE, **identity, "study": study})[:32]


def first_difference(kept: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first field in which a study's identity, as it was written, is not today's; None where they are the same.

    A study from before a field existed is the same as one that has nothing of it.
    """
    kept = {**BEFORE, **kept}
    return next((field for field, value in now.items() if field not in kept or kept[field] != value), None)
