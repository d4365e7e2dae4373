"""Synthetic rows of one table in three lines: one generator, without a study and without Ray.

What a study adds to it: a split, K members, a volume, and whether the rows are good enough.
"""

import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from dge_ray.errors import InputError, nearest
from dge_ray.estimators.auto import choose
from dge_ray.estimators.fitted_table import FittedTable, fit_table
from dge_ray.estimators.synthesizer_files import Saved, read_saved, write_saved
from dge_ray.generators.base import Generator
from dge_ray.generators.checks import check_text
from dge_ray.generators.registry import abilities, check_generator, make_generator, names_with, settings_class
from dge_ray.generators.rows.conditions import Held
from dge_ray.generators.rows.constraints import complete_within, read_constraints
from dge_ray.generators.rows.shards import default_shard_rows, draw_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.study.config import StudyConfig
from dge_ray.study.keys.choices import AUTO, NAMED
from dge_ray.study.read_config import make_config
from dge_ray.table.arrow.frame import to_pandas
from dge_ray.table.reading.python_objects import is_table
from dge_ray.table.schema.table_schema import TableSchema

KEYS = (
    "columns",
    "constraints",
    "csv",
    "drop",
    "drop_missing_target",
    "identities",
    "infinite",
    "query",
    "sheet",
    "table",
)


class Synthesizer:
    """A generator of one table's rows.

    >>> frame = pd.DataFrame({"age": [20, 31, 44, 58] * 25, "smokes": [True, False, False, True] * 25})
    >>> rows = Synthesizer("copula", seed=1).fit(frame).sample(1000)
    >>> rows.shape, rows.dtypes.equals(frame.dtypes)
    ((1000, 2), True)

    Args:
        generator: a generator's name; auto: of `trees`, `trees` with a boosted target and `autoregressive` the cheapest
            whose likelihood of held-out rows is as good as any (`estimators.auto`), fitted anew on all rows.
        generator_settings: its settings, as `generator.KEY` of a study; None for the defaults. Without a generator's
            name they are those of `autoregressive`.
        seed: gives all randomness. With it, the rows are those of member 0 of a study of the same training rows.
        keys: a study's keys of the same names, which mean the same: `columns` (kinds), `drop`, `drop_missing_target`
            and `infinite` of the table, `csv`, `sheet`, `query` and `table` of a source, `constraints` of the rows,
            `identities` between columns.

    Attributes:
        generator_: the fitted generator.
        schema_: what the columns are.
        choice_: with auto, a record of each generator that was compared, until it is saved: its `nats` a held-out row
            (higher is better), their standard error `se`, and whether it was `chosen`.

    Raises:
        InputError: no such generator, or a setting, seed or key at fault.
    """

    generator_: Generator
    choice_: list[dict[str, Any]]

    def __init__(
        self,
        generator: str = AUTO,
        generator_settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        **keys: Any,
    ) -> None:
        if generator_settings is not None and not isinstance(generator_settings, Mapping):
            raise InputError("generator_settings", repr(generator_settings), "a mapping of settings, or None")
        generator = NAMED if generator == AUTO and generator_settings else generator
        self.generator, self.generator_settings, self.seed = generator, dict(generator_settings or {}), seed
        named = NAMED if generator == AUTO else generator
        check_generator(named, self.generator_settings)
        for key in keys:
            if key in settings_class(named).model_fields:
                raise InputError(key, "a setting of the generator", f"it as generator_settings={{{key!r}: ...}}")
            if key not in KEYS:
                raise InputError(key, "an unknown key", nearest(key, list(KEYS)))
        self._config: StudyConfig = make_config({"source": "table", "study": "table", "seed": seed, **keys})
        self._table: FittedTable | None = None

    def __repr__(self) -> str:
        text = f"Synthesizer({self.generator!r}, seed={self.seed})"
        if self._table is None:
            return f"<{text}, not fitted>"
        text += f", {self.generator_.name}" if self.generator == AUTO else ""
        return f"<{text}, fitted on {self._table.rows:,} rows of {len(self._table.schema.columns)} columns>"

    def _repr_html_(self) -> str:
        from markupsafe import escape

        return f"<div><p><b>{escape(repr(self)[1:-1])}</b></p></div>"

    @property
    def schema_(self) -> TableSchema:
        return self._fitted().schema

    def fit(self, source: Any, target: str | None = None) -> Self:
        """Fit on all rows of a table, with warnings of what is read otherwise than it stands, or not modelled.

        Args:
            source: a pandas frame, a table with Arrow's PyCapsule interface (polars, DuckDB, Arrow), or the name of a
                source that `tune` takes: a file, folder, URI, database or built-in table.
            target: the column to predict, which some generators take more care of; None: no column is one.

        Raises:
            InputError: the table, the target or a key is at fault.
        """
        if target is not None and not isinstance(target, str):
            target = str(target)  # labels of a frame are read as texts
        rows, fitted = fit_table(self._config, _source(source), target)
        check_text(NAMED if self.generator == AUTO else self.generator, fitted.schema)
        fitted.warn_of_broken(read_constraints(self._config.constraints, fitted.schema), rows)
        name, settings = self.generator, self.generator_settings
        if name == AUTO:
            choice, self.choice_ = choose(rows, fitted.schema, self.seed)
            name, settings = choice.name, choice.settings
        fresh = make_generator(name, **settings)
        self.generator_ = fresh.fit(rows, fitted.schema, seed=integer(self.seed, Purpose.FIT, member=0))
        self._table = fitted
        return self

    def sample(self, n: int | None = None, *, given: Any = None, seed: int | None = None) -> pd.DataFrame:
        """Synthetic rows in the order of the fitted table's columns, with the dtypes of its frame.

        The same call gives the same rows, and `n` rows are the first of more. Identifiers are surrogates.

        Args:
            n: how many; may be left out where `given` has rows.
            given: values of some columns, and the others are drawn given them. {column: value} holds for all rows; a
                table (as `fit` takes them) has rows to be completed, in their order, and a value that is missing there
                is given as missing.
            seed: of other rows than those of the synthesizer's own seed.

        Raises:
            InputError: not fitted, no such number of rows, conditions that the generator cannot take, or values that
                their columns were not fitted with.
            StudyError: constraints that too few of the rows drawn meet.
        """
        fitted = self._fitted()
        if seed is not None and not (_is_whole(seed, 0) and seed < 2**63):
            raise InputError("seed", repr(seed), "a whole number from 0, or None")
        constraints = read_constraints(self._config.constraints, fitted.schema)
        seed = self.seed if seed is None else int(seed)
        if given is not None:
            self._check_given()
        shard_rows = default_shard_rows(fitted.rows)
        if given is None or isinstance(given, Mapping):
            if n is None or not _is_whole(n, 1):
                raise InputError("n", repr(n), "a whole number of rows from 1")
            draws = Held(self.generator_, fitted.one_row(given)) if given else self.generator_
            rows = draw_rows(draws, int(n), shard_rows=shard_rows, seed=seed, member=0, constraints=constraints)
            return to_pandas(rows, fitted.dtypes)
        rows = fitted.rows_given(self._config, _source(given))
        if n is not None and n != rows.num_rows:
            raise InputError("n", repr(n), f"the {rows.num_rows:,} rows of `given`, or None")
        parts = []
        for index, start in enumerate(range(0, rows.num_rows, shard_rows)):
            address = integer(seed, Purpose.SHARD, member=0, index=index)
            parts.append(complete_within(self.generator_, rows.slice(start, shard_rows), constraints, seed=address))
        return to_pandas(pa.concat_tables(parts), fitted.dtypes)

    def log_prob(self, source: Any) -> np.ndarray:
        """Each row's log-likelihood in nats, float64 (n,): of a table with all modelled columns, as `fit` takes them.

        Raises:
            InputError: not fitted, a generator without likelihoods, or rows that are none of the fitted table's kind.
        """
        fitted = self._fitted()
        if not abilities(self.generator_).log_prob:
            able = ", ".join(names_with(lambda a: a.log_prob))
            raise InputError("log_prob", f"the generator {self.generator_.name!r}, which has none", f"one of {able}")
        rows = fitted.rows_like(self._config, _source(source))
        return self.generator_.log_prob(rows)  # type: ignore[attr-defined]  # optional in the Protocol

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a folder, local or at a URI, that `load` reads: no pickle, and no real row. It holds the real table's
        categories and bounds, and a generator's weights may tell more of its rows.

        Raises:
            InputError: not fitted, or a folder that has other files.
        """
        given = {key for key in KEYS if key in self._config.model_fields_set}
        keys = self._config.model_dump(mode="json", include=set[str](given))
        saved = Saved(generator=self.generator, generator_settings=self.generator_settings, seed=self.seed, keys=keys)
        write_saved(path, saved, self._fitted(), self.generator_)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """What `save` wrote. Nothing in the folder is trusted: it is checked, and no code of it runs.

        Raises:
            InputError: no such folder, or a file in it that is missing, damaged or at odds with the others.
        """
        saved, fitted, generator = read_saved(path)
        made = cls(saved.generator, saved.generator_settings, saved.seed, **saved.keys)
        made.generator_, made._table = generator, fitted
        return made

    def _fitted(self) -> FittedTable:
        if self._table is None:
            raise InputError("synthesizer", "one that is not fitted", "fit(table) or Synthesizer.load(folder) first")
        return self._table

    def _check_given(self) -> None:
        """Raises InputError where the generator takes no conditions at all."""
        if abilities(self.generator_).given == "nothing":
            able = ", ".join(names_with(lambda a: a.given != "nothing"))
            got = f"conditions for the generator {self.generator_.name!r}, which takes none"
            raise InputError("given", got, f"one of the generators {able}")


def _source(source: Any) -> Any:
    """A path as text, and whatever else it is."""
    return os.fspath(source) if isinstance(source, os.PathLike) and not is_table(source) else source


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)
