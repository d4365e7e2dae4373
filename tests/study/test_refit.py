"""Members that are fitted again on all rows: which rows and streams, what leaves, what is refused, what it costs."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers.small_study import small_prepared, small_study, small_table

import dge_ray
from dge_ray.commands.check import bill
from dge_ray.distributed.pilot import is_done, pilot_member
from dge_ray.errors import InputError, StudyError
from dge_ray.publishing.card import About, _provenance
from dge_ray.publishing.request import describe, read_request, real_facts
from dge_ray.publishing.rows import Cut
from dge_ray.report.summary import summary_lines
from dge_ray.storage import Folder
from dge_ray.study.folder import claim_folder
from dge_ray.study.opened import OpenStudy
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import REPORT
from dge_ray.study.records.predictions import Job, model_folder
from dge_ray.study.refit import all_rows, check_refit, refit_section, refit_spec, refitted
from dge_ray.table.arrow.frame import to_pandas
from dge_ray.tracking.gather import gather

VOLUME = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, Folder, Any]:
    """A study of two members and the two that are fitted again, in this process alone."""
    place = tmp_path_factory.mktemp("refit")
    words = ("refit=all", "members=2")
    folder = small_study(place, 2, *words)
    prepared = small_prepared(place, *words)
    spec = refit_spec(prepared, folder, prepared.arms[0], VOLUME)
    rows, real = all_rows(prepared.parts), prepared.encoded()
    for k in range(2):
        pilot_member(spec, k, "cpu", rows, None, real)
    folder.write_json(
        REPORT,
        {
            "learner": "linear",
            "members": 2,
            "reflection_point": {"volume": VOLUME},
            "refit": refit_section(spec, 2, rows.num_rows),
        },
    )
    return prepared, folder, spec


def test_they_are_of_all_rows_with_streams_of_their_own(made: tuple[Prepared, Folder, Any]) -> None:
    prepared, folder, spec = made
    every = sum(prepared.rows.values())
    assert all_rows(prepared.parts).num_rows == every > prepared.n
    assert [spec.members.record(k)["rows"] for k in range(2)] == [every, every]
    tested = OpenStudy(folder).spec()
    assert spec.members.seed != tested.seed and spec.members.folder.path != tested.folder.path
    again = spec.members.first_rows(0, VOLUME)
    shard = tested.draw(tested.load_generator(0, "cpu"), 0, 0)[0].slice(0, VOLUME)
    assert again.schema == shard.schema and not again.equals(shard)
    assert not spec.members.first_rows(1, VOLUME).equals(again), "members differ"


def test_what_is_there_is_not_done_again(made: tuple[Prepared, Folder, Any]) -> None:
    _, _, spec = made
    assert is_done(spec, 0) and is_done(spec, 1) and not is_done(spec, 2)
    place = Path(spec.members.folder.path)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    pilot_member(spec, 0, "cpu", pa.table({}), None, {})  # no row is looked at
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} == before


def test_a_bundle_is_of_them_and_says_so(made: tuple[Prepared, Folder, Any], tmp_path: Path) -> None:
    prepared, folder, spec = made
    study = OpenStudy(folder)
    request = read_request(study, out=str(tmp_path / "bundle"), members=2)
    every = sum(prepared.rows.values())
    assert describe(request, VOLUME)["refitted"] is True and real_facts(study, disclosed=True)["real_rows"] == every
    ((_, rows),) = Cut(request.spec, VOLUME).tables(1, [0])
    assert rows.equals(spec.members.first_rows(1, VOLUME))
    facts = {**describe(request, VOLUME), "real_rows": every}
    about = About(facts, prepared.schema, [("copula", {})], "rows", "2026-01-01", disclosed=True, copies="")
    said = _provenance(about)
    assert f"on {every} real rows" in said and "of the members that were tested" in said
    sampled = dge_ray.open_study(str(folder.path)).sample(VOLUME, member=1)
    assert sampled.equals(to_pandas(spec.members.first_rows(1, VOLUME)))
    study.config = study.config.model_copy(update={"refit": "none"})
    plain = read_request(study, out=str(tmp_path / "plain"), members=2)
    assert "refitted" not in describe(plain, VOLUME) and plain.spec.folder.path == folder.path


def test_the_model_that_is_logged_is_theirs(made: tuple[Prepared, Folder, Any], tmp_path: Path) -> None:
    prepared, folder, spec = made
    said: list[str] = []
    gather(folder, prepared.schema, folder.read_json(REPORT), tmp_path / "model", said.append)
    for k in range(2):
        own = Path(spec.members.folder.path) / model_folder("linear", Job("member", k, VOLUME)) / "model.skops"
        assert (tmp_path / f"model/member={k:03d}/model.skops").read_bytes() == own.read_bytes()
    assert said == []
    report = {key: value for key, value in folder.read_json(REPORT).items() if key != "refit"}
    folder.write_json(REPORT, report)
    with pytest.raises(StudyError):  # the tested ones were never fitted here: it is not theirs then
        gather(folder, prepared.schema, report, tmp_path / "other", said.append)


def test_members_that_are_not_fitted_again_do_not_leave(tmp_path: Path) -> None:
    folder = small_study(tmp_path, 2, "members=2")
    claim_folder(small_prepared(tmp_path, "members=2", "refit=all"), folder)
    study = OpenStudy(folder)
    with pytest.raises(InputError, match="member 0 is not fitted again on all rows"):
        read_request(study, out=str(tmp_path / "bundle"))
    assert study.spec().folder.path == folder.path, "the tested members stay what other verbs read"
    assert refitted(study.spec()).folder.path == (folder / "refit").path


@pytest.mark.parametrize(
    ("words", "got"),
    [
        (["privacy.epsilon=3", "privacy.delta=1e-6"], "all with privacy.epsilon"),
        (["rows=augmented"], "all with rows=augmented"),
        (["canaries=5"], "all with canaries"),
        (["generator=tables", "generator.path=made"], "all with generator=tables"),
    ],
)
def test_where_it_cannot_be_had_one_line_says_so(words: list[str], got: str) -> None:
    check_refit(read_config("t.csv", words))
    with pytest.raises(InputError) as refused:
        check_refit(read_config("t.csv", [*words, "refit=all"]))
    assert (refused.value.field, refused.value.got) == ("refit", got) and refused.value.takes.startswith("none: ")


def test_check_has_its_price_and_the_summary_tells(tmp_path: Path) -> None:
    small_table(tmp_path)
    plain, again = (bill(small_prepared(tmp_path, "members=3", "ratios=1,2", f"refit={r}")) for r in ("none", "all"))
    n = small_prepared(tmp_path).n
    keys = ("generator_fits", "downstream_fits", "downstream_rows", "synthetic_rows")
    assert [again[key] - plain[key] for key in keys] == [3, 3, 6 * n, 6 * n]
    report = {"refit": {"rows": 300, "members": 3, "volume": 100}}
    (line,) = [line for line in summary_lines(report) if line.startswith("refit: ")]
    assert "3 members fitted on all 300 real rows" in line and "members that were tested" in line
