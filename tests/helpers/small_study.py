"""A fitted study put together in this process, without Ray and without downstream fits."""

from pathlib import Path

import numpy as np
import pandas as pd

from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.storage import Folder
from dge_ray.study.folder import claim_folder, study_folder
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import generator_folder, member_file

ROWS = 400


def small_table(place: Path) -> Path:
    """A table of two numbers and a class that follows the first."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(ROWS, 2))
    y = np.where(generator.random(ROWS) < 1 / (1 + np.exp(-2 * x[:, 0])), "yes", "no")
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}).to_parquet(place / "t.parquet", index=False)
    return place / "t.parquet"


def small_prepared(place: Path, *words: str) -> Prepared:
    """The input of the study `s` below `place`/studies, of the table that is in `place`."""
    given = ["target=y", "generator=copula", f"storage={place / 'studies'}", "study=s", "learner=linear", *words]
    return prepare(read_config(str(place / "t.parquet"), given))


def small_study(place: Path, members: int = 3, *words: str) -> Folder:
    """The study's folder, its members fitted, no row of theirs drawn."""
    small_table(place)
    prepared = small_prepared(place, *words)
    folder = study_folder(prepared.config.storage, prepared.name)
    claim_folder(prepared, folder)
    for k in range(members):
        copula = make_generator("copula")
        copula.fit(prepared.parts["train"], prepared.schema, seed=integer(0, Purpose.FIT, member=k))
        saved = Path(folder.path) / generator_folder(k)
        saved.mkdir(parents=True)
        copula.save(saved)
        folder.write_json(member_file(k), {"device": "cpu", "rows": prepared.n, "generator": "copula", "loss": []})
    return folder
