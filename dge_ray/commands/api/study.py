"""A study as an object of Python: its answer, its report and surface, its rows and its model.

`tune` runs one, or goes on with it; `open_study` opens one that is there.
"""

import os
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dge_ray.commands.api.guest import as_it_was
from dge_ray.commands.publish import publish
from dge_ray.commands.tune import run_config
from dge_ray.errors import InputError, nearest
from dge_ray.estimators.ensemble import DGEClassifier, DGERegressor
from dge_ray.estimators.from_study import parameters_of
from dge_ray.report.words.answer import answer_sentences, headline, link
from dge_ray.study.given import config_of
from dge_ray.study.opened import OpenStudy
from dge_ray.study.records.files import REPORT_PAGE
from dge_ray.study.records.predictions import SPLITS, tensor
from dge_ray.table.arrow.frame import to_pandas
from dge_ray.tracking.gather import gather
from dge_ray.tracking.scoring import FittedEnsemble

if TYPE_CHECKING:
    from dge_ray.commands.api.plots import Plots


def tune(source: Any, options: Mapping[str, Any] | None = None, **keys: Any) -> "Study":
    """Run a study, or go on with it where it was left, and give it. Progress goes to standard error.

    Args:
        source: as on the command line (a path or URI, a built-in table's name), or a table: a pandas frame, or what has
            Arrow's PyCapsule interface. A table is kept in the storage, below `sources`.
        options: keys by name, for those with a dot in them: `{"generator.epochs": 20}`.
        keys: the keys of `dge-ray tune`: `target="y"`, `members=8`, `ratios=[1, 2, 4]`, `generator="copula"`, ...

    Raises:
        InputError, InputErrors: the input is at fault; nothing was written over.
        StudyError: the study cannot go on; the same call goes on with it.

    It works in a script and in a notebook, and leaves the process's environment, signal handlers, standard output and
    random states as it found them. A Ray that runs is joined; another is started and ended.

    >>> study = tune("breast_cancer", generator="copula", learner="linear", members=3, ratios=[1], tracking=False)
    >>> sorted(study.answer)[:5]
    ['against', 'best', 'curves', 'difference', 'excess']
    >>> study.answer["members"] in (1, 2, 3), study.sample(5).shape
    (True, (5, 31))
    >>> study.predictions("test").shape[:2], study.model().predict(study.sample(5)).shape
    ((3, 1), (5, 3))
    >>> type(study.estimator()).__name__, study.plot.volume().get_xscale()
    ('DGEClassifier', 'log')
    """
    given = {**(options or {}), **keys}
    with as_it_was(), config_of(source, given, keep=True) as config:
        run_config(config)
    return open_study(str(config.study), storage=config.storage)


def open_study(study: str | os.PathLike[str], *, storage: str = "./studies") -> "Study":
    """A study by its folder or URI, or by its name under the storage. Nothing of it is read before it is asked for.

    Raises:
        InputError: there is none, or it cannot be read.

    >>> study = open_study("studies/breast_cancer")  # the example of `tune`
    >>> study.answer == study.report["answer"], "auc" in set(study.surface["metric"])
    (True, True)
    """
    return Study(OpenStudy.find(os.fspath(study), storage))


class Study:
    """What a study found and made. `opened`: its folder, as the verbs have it."""

    def __init__(self, opened: OpenStudy) -> None:
        self.opened = opened

    @property
    def name(self) -> str:
        return self.opened.name

    @property
    def report(self) -> dict[str, Any]:
        """report.json's content; empty where the study is not finished."""
        return self.opened.report

    @property
    def page(self) -> str:
        """Where report.html is, as a link."""
        return link(str(self.opened.folder / REPORT_PAGE))

    @property
    def answer(self) -> dict[str, Any]:
        """How many members and rows, at what price, and how that compares with the best model on real rows.

        Raises:
            InputError: the study is not finished, or one of an earlier version.
        """
        if not self.report.get("answer"):
            got = f"{self.opened.folder}, without an answer"
            raise InputError("study", got, "a study that `dge_ray.tune` has finished")
        return self.report["answer"]

    @cached_property
    def surface(self) -> pd.DataFrame:
        """Every metric of every number of members at every volume: learner, members, volume, split, metric, value, se,
        se_rows, dropped."""
        return self.opened.surface.to_pandas()

    def predictions(self, split: str = "test") -> np.ndarray:
        """The members' predictions of a split's real rows, by the report's learner; NaN for a fit that was dropped.

        Of a cross-fitted study, whose real table is read for it, validation is every row that is not test, each by the
        fold that has not seen it; test rows stand there once a fold, or are those of validation where there are none.

        Shape: (members, volumes, rows, classes) float32, volumes as in `report["volumes"]`; classes 1 in regression.

        Raises:
            InputError: no such split.
        """
        if split not in SPLITS:
            raise InputError("split", repr(split), nearest(str(split), list(SPLITS)))
        report, schema = self.report, self.opened.schema
        width = 1 if schema.task == "regression" else len(schema.classes)
        held, rows = self.opened.held, report["data"]["rows"]
        keys = {"members": report["members"], "volumes": report["volumes"], "rows": rows, "held": held}
        of = "validation" if held and not rows.get("test") else split
        return tensor(self.opened.folder, report["learner"], width=width, **keys)[of]

    def model(self) -> FittedEnsemble:
        """The recommended ensemble, fitted: `predict(frame)` gives the column `prediction` and each class's share.

        Raises:
            StudyError: its learners were not kept, or cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="dge-ray-") as scratch, self.opened.locked(_hushed):
            gather(self.opened.folder, self.opened.schema, self.report, Path(scratch), _hushed)
            return FittedEnsemble(Path(scratch))

    def estimator(self) -> DGEClassifier | DGERegressor:
        """An estimator, not fitted, with the study's generator and learner, the recommended members and volume."""
        kind = DGERegressor if self.opened.schema.task == "regression" else DGEClassifier
        return kind(**parameters_of(self.opened, regression=kind is DGERegressor))

    def sample(self, n: int, member: int | None = None) -> pd.DataFrame:
        """Synthetic rows, of the members that leave the study (with refit=all those fitted on all rows). Rows that it
        lacks are drawn, and kept in it.

        Args:
            n: how many, 1 or more.
            member: whose; a member's rows are always the same, and fewer a prefix of more. None: n rows in all, from
                each of the recommended members alike. Models are to be fitted member by member.

        Raises:
            InputError: no such member, or one that is to be fitted again on all rows and is not.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise InputError("n", repr(n), "a whole number from 1")
        fitted = self.opened.check_fitted()
        if member is not None and (isinstance(member, bool) or member not in range(fitted)):
            raise InputError("member", repr(member), f"a member's number, 0 to {fitted - 1}")
        count = self.opened.recommended_members()
        whose = [member] if member is not None else list(range(min(count, n)))
        shares = [n // len(whose) + (at < n % len(whose)) for at in range(len(whose))]
        spec = self.opened.leaving(max(whose) + 1)
        with self.opened.locked(_hushed):
            tables = [spec.rows(k, rows) for k, rows in zip(whose, shares, strict=True)]
        return pd.concat([to_pandas(table) for table in tables], ignore_index=True)

    def publish(self, out: str | os.PathLike[str], **keys: Any) -> dict[str, Any]:
        """Write a bundle to hand on; keys as of `dge-ray publish`. Gives bundle.json's content."""
        return publish(str(self.opened.folder), {"out": os.fspath(out), **keys})

    @cached_property
    def plot(self) -> "Plots":
        """`volume`, `members`, `surface` and `fidelity`, which draw; matplotlib is imported on first use."""
        from dge_ray.commands.api.plots import Plots

        return Plots(self)

    def __repr__(self) -> str:
        said = headline(self.report) or ("finished" if self.report else "not finished")
        return f"<study {self.name} in {self.opened.folder}: {said}>"

    def _repr_html_(self) -> str:
        from markupsafe import escape

        rows = "".join(f"<p><b>{escape(q)}</b> {escape(text)}</p>" for q, text in answer_sentences(self.report))
        title = f"<p><b>study {escape(self.name)}</b> · <a href='{escape(self.page)}'>report</a></p>"
        return f"<div>{title}{rows or '<p>not finished</p>'}</div>"


def _hushed(_: str) -> None:
    return None
