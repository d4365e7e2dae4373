"""An opened study: compared with its table once and in one way by every verb; its members counted, its rows whole."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from helpers.small_study import small_prepared, small_study, small_table

from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.study import opened as module
from dge_ray.study import real_table
from dge_ray.study.folder import check_folder
from dge_ray.study.opened import ChangedStudyError, OpenStudy
from dge_ray.study.records.files import IDENTITY, REPORT, member_file
from dge_ray.study.records.identity import BEFORE, first_difference, tracking_id

Run = Callable[..., tuple[int, str, str]]
MEMBERS = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small")
    small_study(place, MEMBERS)
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the table and its study; the configuration still names the table where it was."""
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    yield copy
    shutil.copyfile(copy / "t.parquet", made / "t.parquet")


def open_at(place: Path) -> OpenStudy:
    return OpenStudy.find("s", str(place / "studies"))


@pytest.fixture
def older(place: Path) -> Path:
    """The study as one that was made before anything in it could be private, constrained or started from another."""
    file = place / "studies/s" / IDENTITY
    kept = json.loads(file.read_text())
    assert {name: kept.pop(name) for name in BEFORE} == BEFORE
    file.write_text(json.dumps(kept))
    return place


# What each verb refuses only after it has compared the study with its table, so that the study itself is not it.
@pytest.mark.parametrize(
    ("verb", "words", "refused"),
    [
        ("utility", ["estimators=[forrest]"], "did you mean 'forest'"),
        ("estimates", ["estimands=mean(nope)"], "no column 'nope'"),
        ("attack", ["attributes=[nope]"], "nope"),
        ("publish", ["volume=50", "out=bundle", "debias=mean(y)"], "mean(y)"),
    ],
)
def test_a_study_from_before_a_field_is_accepted(
    older: Path, run: Run, verb: str, words: list[str], refused: str
) -> None:
    code, _, err = run(verb, "s", f"storage={older / 'studies'}", *words)
    assert code == 2 and refused in err and "changed" not in err, err


@pytest.mark.usefixtures("cluster")
def test_a_study_from_before_a_field_is_worked_on(older: Path, run: Run, tmp_path: Path) -> None:
    storage = f"storage={older / 'studies'}"
    code, _, err = run("attack", "s", storage, "rows=40", "volume=60", "members=2")
    assert code == 0, err
    code, _, err = run("publish", "s", storage, "volume=60", "out=bundle", "allow=[identifiers]", "debias=mean(a)")
    assert code == 0, err
    code, _, err = run("sample", "s", storage, "volume=60", "out=rows")
    assert code == 0, err
    assert run("verify", "bundle")[0] == 0
    assert run("status", "s", storage)[0] == 0
    check_folder(small_prepared(older))  # what `tune` does


def test_other_fields_are_not_taken_for_older_ones() -> None:
    now = {"data": "abc", "seed": 0, "constraints": ["a < b"], "privacy": None, "pretrained": []}
    assert first_difference({"data": "abc", "seed": 0}, {**now, "constraints": []}) is None
    assert first_difference({"data": "abc", "seed": 0}, now) == "constraints"
    assert first_difference({"seed": 0}, {**now, "constraints": []}) == "data"
    assert first_difference({"data": "abc", "seed": 1}, {**now, "constraints": []}) == "seed"
    assert tracking_id({"seed": 0}, "s") == tracking_id({"seed": 0, **BEFORE}, "s") != tracking_id({"seed": 1}, "s")


def test_members_of_an_older_format_are_not_added_to(place: Path) -> None:
    check_folder(small_prepared(place))
    for member in (place / "studies/s/members").iterdir():
        file = member / "generator/generator.json"
        file.write_text(file.read_text().replace('"format": 1', '"format": 0'))
    with pytest.raises(InputError, match=r"^checkpoint: got format 0 of copula in .*takes format 1: .*study=NAME"):
        check_folder(small_prepared(place))


def test_the_table_is_read_once_and_compared(made: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    real = module.prepare
    monkeypatch.setattr(module, "prepare", lambda *given, **more: calls.append(None) or real(*given, **more))
    study = open_at(place)
    assert study.volume(70) == 70 and not calls
    assert study.prepared is study.prepared and len(calls) == 1
    assert study.volume(None) == study.prepared.n == study.rows_seen

    frame = pd.read_parquet(made / "t.parquet")
    frame.assign(a=frame["a"] + 1).to_parquet(made / "t.parquet", index=False)
    with pytest.raises(ChangedStudyError, match=r"^study: .*whose table or settings have changed"):
        _ = open_at(place).prepared


@pytest.mark.usefixtures("cluster")
def test_a_debiased_bundle_prepares_the_table_once(place: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    real = module.prepare
    monkeypatch.setattr("dge_ray.study.real_table.read_told", _counted(real_table.read_told, calls))
    assert real is module.prepare
    words = ["volume=60", "out=bundle", "allow=[identifiers]", "debias=mean(a)"]
    code, _, err = run("publish", "s", f"storage={place / 'studies'}", *words)
    assert code == 0, err
    assert len(calls) == 1


def _counted(function: Callable, calls: list[None]) -> Callable:
    def counted(*given: object, **settings: object) -> object:
        calls.append(None)
        return function(*given, **settings)

    return counted


def test_members_and_volume(place: Path) -> None:
    study = open_at(place)
    assert (study.members(None), study.members(2), study.check_fitted(2)) == (3, 2, 3)
    for wanted in (0, 4):
        with pytest.raises(InputError, match=rf"^members: got {wanted}; takes a whole number from 1 to 3"):
            study.members(wanted)
    with pytest.raises(InputError, match=r"^study: got .* with 3 fitted members; takes at least 4: so it is"):
        study.members(None, least=4, why="so it is")
    study.folder.delete(member_file(1))  # a gap: what comes behind it is not counted
    assert open_at(place).fitted == 1
    study.folder.delete(member_file(0))
    with pytest.raises(InputError, match=r"^study: got .* without a fitted member; takes a study that"):
        open_at(place).members(None)
    study.folder.write_json(REPORT, {"reflection_point": {"volume": 123}})
    assert open_at(place).volume(None) == 123


def test_rows_are_the_same_whoever_asks_first(place: Path) -> None:
    study = open_at(place)
    with study.locked(lambda _: None):
        first = study.spec().rows(1, 50)
        assert first.equals(study.spec().rows(1, 300).slice(0, 50))
        assert study.spec().missing_shards(1, 300) == []
    assert not study.folder.exists("lock.json")


@pytest.mark.parametrize("verb", ["attack", "estimates", "publish", "sample", "status", "track", "report", "utility"])
def test_a_bundle_is_no_study(run: Run, tmp_path: Path, verb: str) -> None:
    Folder.open(tmp_path / "bundle").write_json("bundle.json", {})
    more = {"publish": ["out=o"], "sample": ["out=o", "volume=5"], "estimates": ["estimands=mean(a)"]}
    code, _, err = run(verb, str(tmp_path / "bundle"), *more.get(verb, []))
    assert code == 2 and "a bundle, which holds no real row" in err and len(err.strip().splitlines()) == 1, err


def test_a_name_is_looked_up_before_a_folder_of_that_name(place: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Folder.open("s").write_json("bundle.json", {})
    assert open_at(place).name == "s"
    with pytest.raises(InputError, match=r"^study: got 'nobody'; takes a study's folder, or one of s in"):
        OpenStudy.find("nobody", str(place / "studies"))
    assert small_table(place).exists()
