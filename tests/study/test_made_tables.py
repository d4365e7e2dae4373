"""A study of tables that were made elsewhere: how many members and rows there are, what is refused before any work, and
the path of a member from its file to its shards. No Ray, but for one whole study, which is slow."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.small_study import small_table

from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.storage import Folder
from dge_ray.study.folder import check_folder, claim_folder, study_folder
from dge_ray.study.members import MemberSpec
from dge_ray.study.opened import OpenStudy
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import generator_folder, member_file

Run = Callable[..., tuple[int, str, str]]


def theirs(place: Path, k: int) -> pd.DataFrame:
    """700 rows near the real ones, and within their bounds."""
    real, rng = pd.read_parquet(place / "t.parquet"), np.random.default_rng(k)
    rows = real.iloc[rng.integers(0, len(real), 700)].reset_index(drop=True)
    for name in ("a", "b"):
        rows[name] = (rows[name] + rng.normal(0, 0.05, 700)).clip(real[name].min(), real[name].max())
    return rows


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A real table (245 rows to fit on) and five tables of 700 rows of its law."""
    small_table(tmp_path)
    (tmp_path / "made").mkdir()
    for k in range(5):
        theirs(tmp_path, k)[["b", "a", "y"]].to_csv(tmp_path / "made" / f"{k}.csv", index=False)
    return tmp_path


def prepared(place: Path, *words: str, said: list[str] | None = None) -> Prepared:
    given = ["target=y", f"storage={place / 'studies'}", "study=s", "learner=linear"]
    if not any(word.startswith("generator=") for word in words):
        given += ["generator=tables", f"generator.path={place / 'made'}"]
    given += words
    return prepare(read_config(str(place / "t.parquet"), given), [].append if said is None else said.append)


def fit(ready: Prepared, members: int) -> MemberSpec:
    """The study begun, and its members fitted as an actor does it."""
    config, folder = ready.config, study_folder(ready.config.storage, ready.name)
    claim_folder(ready, folder)
    spec = MemberSpec(folder, ready.schema, config.generators, config.seed, ready.shard_rows)
    for k in range(members):
        name, settings = spec.generator(k)
        generator = make_generator(name, **settings)
        generator.fit(ready.parts["train"], ready.schema, seed=integer(0, Purpose.FIT, member=k))
        generator.save(Path(folder.path) / generator_folder(k))
        folder.write_json(member_file(k), {"device": "cpu", "rows": ready.n, "generator": name})
    return spec


def test_from_a_file_to_a_members_shards(place: Path) -> None:
    ready = prepared(place, "ratios=1,2", "shard_rows=256")
    assert ready.config.members == ready.most_members == 5 and ready.volumes == (245, 490)
    spec = fit(ready, 5)
    shutil.rmtree(place / "made")  # what is kept suffices from here on
    for k in range(5):
        lines, rows = theirs(place, k), spec.rows(k, 490).to_pandas()
        assert rows.columns.tolist() == ["a", "b", "y"]
        np.testing.assert_allclose(rows["a"], lines["a"][:490])
        assert rows["y"].tolist() == lines["y"][:490].tolist()
    assert [spec.first_rows(0, 490).num_rows, spec.rows(0, 700).num_rows] == [490, 700]
    assert Folder.open(spec.folder.path).list("shards/member=000") == [f"part-0000{j}.parquet" for j in range(3)]
    for volume in (701, 800):
        with pytest.raises(InputError, match=rf"volume: got {volume} rows; takes at most 700"):
            spec.rows(0, volume)
    opened = OpenStudy.find("s", str(place / "studies"))
    assert opened.prepared.volumes == (245, 490) and opened.volume(700) == 700
    with pytest.raises(InputError, match="volume: got 701 rows; takes at most 700: the table of member 0 has no more"):
        opened.volume(701)
    check_folder(prepared(place, "ratios=1,2"))  # goes on, without the folder
    with pytest.raises(InputError, match=r"members: got 6, and .* takes at most 5"):
        prepared(place, "ratios=1,2", "members=6")


def test_a_changed_file_is_another_study_and_a_moved_folder_is_not(place: Path) -> None:
    fit(prepared(place, "members=2"), 1)
    assert check_folder(prepared(place, "members=3")).exists()
    shutil.copytree(place / "made", place / "moved")
    check_folder(prepared(place, f"generator.path={place / 'moved'}"))
    lines = (place / "made" / "4.csv").read_text().splitlines()
    (place / "made" / "4.csv").write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(InputError, match="study: got 's', which exists with another generator"):
        check_folder(prepared(place, "members=2"))


def test_ratios_nobody_gave_end_where_the_shortest_table_does(place: Path) -> None:
    said: list[str] = []
    assert prepared(place, said=said).config.ratios == (0.25, 0.5, 1.0, 2.0)
    assert said[-2].startswith("warning: tables that were made elsewhere: the report holds only if what made them has")
    assert said[-1] == "warning: ratios up to 2: '0.csv' has 700 rows, 2.86 times the real ones"
    with pytest.raises(InputError) as caught:
        prepared(place, "ratios=1,4")
    line = "ratios: got 4 times 245 rows, and '0.csv' has 700; takes at most 700 rows a member: ratios=1,2.857142"
    assert str(caught.value) == line
    assert prepared(place, "ratios=1,2.857142").volumes == (245, 700)
    short = pd.read_csv(place / "made" / "4.csv").head(300)
    short.to_csv(place / "made" / "4.csv", index=False)
    assert prepared(place, "ratios=2", "members=4").volumes == (490,)  # the fifth is not used
    with pytest.raises(InputError, match=r"'4.csv' has 300; takes at most 300 rows a member"):
        prepared(place, "ratios=2", "members=5")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["members=6"], "members: got 6, and the folder has 5 tables; takes at most 5"),
        (["generator.member=2"], "generator.member: got 2; takes nothing in a study"),
        (["constraints=[a > 0]"], r"constraints: got .*; takes none with generator=tables"),
        (["canaries=10"], "canaries: got 10; takes 0 with generator=tables"),
        (["pretrained=x"], "pretrained: got .*; takes nothing with generator=tables"),
        (["privacy.epsilon=1"], "generator: got 'tables' with privacy.epsilon; takes autoregressive or"),
        (["generator.path=nowhere"], "generator.path: got .*nowhere, which is not there"),
        (["generator.pth=x"], "generator.pth: got an unknown setting"),
        (["drop=a"], "^generator.path: got '0.csv' with a column 'z', which the real table has not"),
    ],
)
def test_refused_before_any_work(words: list[str], line: str, place: Path) -> None:
    if words == ["drop=a"]:  # what the study drops a table may have; what nobody knows it may not
        for k in range(5):
            frame = pd.read_csv(place / "made" / f"{k}.csv").assign(z=1)
            frame.to_csv(place / "made" / f"{k}.csv", index=False)
    with pytest.raises(InputError, match=line) as caught:
        prepared(place, *words)
    assert "\n" not in str(caught.value)
    assert not (place / "studies").exists()


def test_beside_a_generator_that_is_fitted(place: Path) -> None:
    both = f"generator=[copula, {{name: tables, path: {place / 'made'}}}]"
    assert prepared(place, both, "members=auto").config.members == 11  # copulas are without end
    assert prepared(place, both, "members=1").config.members == 1  # a copula alone
    with pytest.raises(InputError, match=r"members: got 12, .* takes at most 11"):
        prepared(place, both, "members=12")
    kept: Any = prepared(place, both, "members=4").identity()["generator"]
    assert kept[0] == {"name": "copula", "settings": {}} and len(kept[1]["settings"]["tables"]) == 5


def test_a_yaml_beside_its_tables(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "made.yaml").write_text(
        "{source: t.parquet, target: y, generator: {name: tables, path: made}, storage: studies, ratios: [1]}"
    )
    monkeypatch.chdir("/")
    assert prepare(read_config(str(place / "made.yaml"))).config.generators[0][1]["path"] == str(place / "made")


@pytest.mark.ray
@pytest.mark.slow
def test_a_whole_study_of_five_tables(place: Path, run: Run) -> None:
    words = ["t.parquet", "target=y", "generator=tables", "generator.path=made", "ratios=0.5,1,2", "learner=linear"]
    code, out, err = run("tune", *words, "tracking=false", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["members"] == 5 and report["generator"] == "tables" and report["test"]["dge"]["auc"] > 0.8
    shutil.rmtree(place / "made")
    again = json.loads(run("tune", *words, "tracking=false", "--json")[1])
    assert again["test"] == report["test"]  # goes on from what it keeps
    for verb in (["utility", "t"], ["attack", "t"], ["publish", "t", "out=bundle", "volume=600"]):
        code, _, err = run(*verb)
        assert code == 0, (verb, err)
    code, out, _ = run("verify", "bundle", "real=t.parquet", "--json")
    assert json.loads(out)["clean"]
    told = "".join(file.read_text() for file in (place / "bundle").iterdir() if file.is_file())
    assert str(place) not in told
    code, _, err = run("sample", "t", "out=more", "volume=701")
    assert code == 2 and "volume: got 701 rows; takes at most 700: the table of member 0 has no more" in err
    code, _, err = run("sample", "t", "out=more", "volume=100", "balance=y")
    assert code == 2 and "whose rows were made elsewhere" in err
