"""Learners: the downstream models that are trained on synthetic rows and judged on real ones."""

from dge_ray.downstream.base import Learner, StreamingLearner, align, slices
from dge_ray.downstream.catalogue import keeps_rows, learner_names
from dge_ray.downstream.learners import check_learner, load_learner, make_learner

__all__ = [
    "Learner",
    "StreamingLearner",
    "align",
    "check_learner",
    "keeps_rows",
    "learner_names",
    "load_learner",
    "make_learner",
    "slices",
]
