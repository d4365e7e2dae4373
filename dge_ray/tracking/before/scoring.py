"""Where models that were logged before the rooms find it."""

from dge_ray.tracking.scoring import *  # noqa: F403
