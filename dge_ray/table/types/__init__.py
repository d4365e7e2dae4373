"""Types from text: what a column of strings is, and what was repaired so that it is."""

from dge_ray.table.types.repair import Repair, RepairWarning, warn_of
from dge_ray.table.types.typed import typed, warn_of_text

__all__ = ["Repair", "RepairWarning", "typed", "warn_of", "warn_of_text"]
