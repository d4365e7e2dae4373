"""generator=auto: a pilot's fits against plain loops, its record, what is refused, and a whole study of it on Ray."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.pages import parse
from helpers.refusals import check_refused
from helpers.small_study import small_prepared, small_table
from plain import draw, fit_learner, fit_member

from dge_ray.commands import pilot
from dge_ray.commands.check import check_study
from dge_ray.commands.tune import tune
from dge_ray.distributed import pilot as fits
from dge_ray.distributed.demand import Demand
from dge_ray.errors import InputError
from dge_ray.report.study_page import render_html
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.downstream_spec import DownstreamSpec, downstream_of
from dge_ray.study.folder import claim_folder, study_folder
from dge_ray.study.keys.choices import GeneratorChoice
from dge_ray.study.opened import OpenStudy
from dge_ray.study.pilot import candidates, record
from dge_ray.study.pilot.candidates import Candidate
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import CONFIG, PILOT, PILOTS, shard_file
from dge_ray.study.records.predictions import Job, read_predictions
from dge_ray.table import TableCodec

Run = Callable[..., tuple[int, str, str]]


def _copula(**settings: Any) -> GeneratorChoice:
    return GeneratorChoice(name="copula", settings=settings)


CHEAP = (  # generators that cost milliseconds, under the names of those that a pilot tries
    Candidate("trees", (_copula(bins=4),)),
    Candidate("autoregressive", (_copula(),)),
    Candidate("mixed", (_copula(), _copula(bins=4))),
)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot of cheap generators, fitted one after another in this process."""
    for module in (candidates, record, pilot):
        monkeypatch.setattr(module, "CANDIDATES", CHEAP)

    def one_by_one(specs: Mapping[str, tuple[DownstreamSpec, int]], **rest: Any) -> None:
        tables, real = rest["tables"], rest["real"]
        for spec, member in specs.values():
            if not fits.is_done(spec, member):
                fits.pilot_member(spec, member, "cpu", tables["train"], tables["stopping"], real)

    monkeypatch.setattr(pilot, "run_pilot", one_by_one)


def _begun(place: Path, *words: str) -> tuple[Prepared, Folder]:
    """The input of a study with generator=auto, as `tune` has it before its pilot, and its folder."""
    given = ["target=y", "generator=auto", f"storage={place / 'studies'}", "study=s", "learner=linear", *words]
    config = read_config(str(place / "t.parquet"), given)
    folder = study_folder(config.storage, "s")
    return prepare(record.settled(config, folder)[0]), folder


def _piloted(prepared: Prepared, folder: Folder, said: list[str] | None = None) -> Prepared:
    return pilot.piloted(prepared, folder, Demand(), [].append if said is None else said.append)


def test_a_fit_is_what_a_plain_loop_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and predictions of both members bit for bit; what is there is not done again, what is lost comes back."""
    small_table(tmp_path)
    prepared = small_prepared(tmp_path, "members=2", "ratios=1")
    folder, volume = Folder.open(tmp_path / "fits"), prepared.n
    spec = downstream_of(prepared, folder, prepared.arms, volume)
    given = ("cpu", prepared.parts["train"], prepared.parts["stopping"], prepared.encoded())
    for k in range(2):
        assert not fits.is_done(spec, k)
        fits.pilot_member(spec, k, *given)
        rows = draw(prepared, fit_member(prepared, k), k, volume)
        assert spec.members.first_rows(k, volume).equals(rows)
        job = Job("member", k, volume)
        expected = fit_learner(prepared, job, TableCodec(prepared.schema).encode(rows), prepared.encoded())
        found = read_predictions(folder, prepared.arms[0].label, job, prepared.width)
        for split, values in expected.items():
            assert np.array_equal(found[split], values.astype(np.float32)), split
        assert fits.is_done(spec, k)
    monkeypatch.setattr(fits, "fit_member", lambda *_, **__: pytest.fail("fitted twice"))
    shard = folder.read_bytes(shard_file(1, 0))
    folder.delete(shard_file(1, 0))
    fits.pilot_member(spec, 1, *given)
    assert folder.read_bytes(shard_file(1, 0)) == shard


@pytest.mark.usefixtures("cheap")
def test_the_chosen_ones_fits_are_the_studys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot that breaks off goes on with what it has; its record decides once; each file of the chosen members is as
    the pilot wrote it, the others are gone, and the study is that of the chosen name."""
    small_table(tmp_path)
    prepared, folder = _begun(tmp_path, "ratios=0.5,1,2,4")
    whole, done = fits.pilot_member, []

    def breaks(spec: DownstreamSpec, member: int, *rest: Any) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((spec.members.folder.path, member))
        whole(spec, member, *rest)

    monkeypatch.setattr(fits, "pilot_member", breaks)
    with pytest.raises(KeyboardInterrupt):
        _piloted(prepared, folder)
    assert not folder.exists(PILOT) and len(folder.list(PILOTS)) == 3 + 2  # fits and two files
    done.clear()
    said: list[str] = []
    chosen = _piloted(prepared, folder, said)
    assert len(done) == 1  # of four: mixed is made of the others'
    kept = folder.read_json(PILOT)
    assert [row["name"] for row in kept["candidates"]] == ["trees", "autoregressive", "mixed"]
    assert (kept["fits"], kept["planned_fits"]) == (4, 16)
    assert all(row["cpu_seconds"] > 0 for row in kept["candidates"])
    total = sum(row["cpu_seconds"] for row in kept["candidates"][:2])
    assert kept["cpu_seconds"] == pytest.approx(total) and kept["candidates"][2]["cpu_seconds"] < total
    assert f"chosen on validation among 3: {kept['chosen']}" in said[-1]
    names = [record.pilot_folder(*one.fit(k)) for one in CHEAP if one.name == kept["chosen"] for k in range(2)]
    before = {name: (folder / at).read_bytes(name) for at in names for name in (folder / at).files()}
    claim_folder(chosen, folder, pilot=True)
    pilot.keep_chosen(chosen, folder)
    pilot.keep_chosen(chosen, folder)
    assert not folder.exists(PILOTS)
    assert {name: folder.read_bytes(name) for name in before} == before
    assert any(name.startswith("predictions/") for name in before) and "members/001/member.json" in before
    # asked again, it is not chosen anew, and every verb finds a study of the chosen generator
    monkeypatch.setattr(pilot, "judge", lambda *_, **__: pytest.fail("chosen twice"))
    again, _ = _begun(tmp_path, "ratios=0.5,1,2,4,8")
    assert again.config.generators == _piloted(again, folder).config.generators == chosen.config.generators
    opened = OpenStudy(folder)
    assert opened.prepared.identity() == chosen.identity() and opened.fitted == 2
    assert check_study(read_config(str(tmp_path / "studies/s/config.yaml"), {}))["exists"]


@pytest.mark.usefixtures("cheap")
def test_a_pilot_is_of_one_study(tmp_path: Path) -> None:
    """Another seed does not go on with it, nor a generator's name; a study that was begun with a name has none."""
    small_table(tmp_path)
    words = ["ratios=0.5,1,2,4"]
    prepared, folder = _begun(tmp_path, *words)
    _piloted(prepared, folder)
    other, _ = _begun(tmp_path, *words, "seed=1")
    with pytest.raises(InputError, match="pilot was begun with another seed"):
        record.claim_pilot(other, folder)
    named = small_prepared(tmp_path, *words)
    with pytest.raises(InputError, match="generator=auto, which goes on with it"):
        claim_folder(named, folder)
    shutil.rmtree(tmp_path / "studies")
    claim_folder(named, folder)
    with pytest.raises(InputError, match="begun with a generator's name"):
        _begun(tmp_path, *words)
    folder.write_json(PILOT, {"chosen": "trees"})
    with pytest.raises(InputError, match="damaged"):
        _begun(tmp_path, *words)


def _settled(place: Path, *words: str) -> tuple[StudyConfig, bool]:
    """What a study of no generator's name takes, and whether a pilot chooses it."""
    config = read_config(str(place / "t.parquet"), ["target=y", f"storage={place / 'studies'}", "study=s", *words])
    return record.settled(config, study_folder(config.storage, "s"))


@pytest.mark.parametrize("words", [["generator=copula", "generator.bins=4"], ["generator=[copula,trees]"]])
def test_a_begun_study_keeps_its_generator(tmp_path: Path, words: list[str]) -> None:
    """One that is asked for without a generator's name goes on with what it has; a name, or auto, is still another."""
    small_table(tmp_path)
    named = small_prepared(tmp_path, *words)
    folder = study_folder(named.config.storage, "s")
    claim_folder(named, folder)
    for lost in ("", CONFIG):  # as a driver leaves it that is killed between the two files
        if lost:
            folder.delete(lost)
        config, auto = _settled(tmp_path)
        assert config.generators == named.config.generators and not auto
        assert prepare(config).identity() == named.identity()
    with pytest.raises(InputError, match="begun with a generator's name"):
        _settled(tmp_path, "generator=auto")
    assert _settled(tmp_path, "generator=vae")[0].generator_name == "vae"  # and check_folder refuses it


def test_what_no_pilot_chooses_has_a_named_generator(tmp_path: Path, run: Run) -> None:
    small_table(tmp_path)
    assert _settled(tmp_path)[1] and _settled(tmp_path, "generator=auto")[1]
    for words in (["privacy.epsilon=3"], ["pretrained=saved"]):
        config, auto = _settled(tmp_path, *words)
        assert config.generators == (("autoregressive", {}),) and not auto
    # settings without a name are the named one's, as they were before there was a pilot
    assert _settled(tmp_path, "generator.epochs=3")[0].generators == (("autoregressive", {"epochs": 3}),)


@pytest.mark.slow  # the accountant's imports
def test_a_private_study_is_told_why_there_is_no_pilot(tmp_path: Path, run: Run) -> None:
    (tmp_path / "q.csv").write_text("x,y\n" + "1,a\n2,b\n" * 60)
    words = ["q.csv", "target=y", "privacy.epsilon=3", "privacy.delta=1e-6", "columns.y={categories: [a, b]}"]
    words += ["columns.x={kind: integer, minimum: 0, maximum: 9}", "members=2", "ratios=1"]
    code, out, err = run("check", *words)
    assert code == 0, err
    assert "# the generator is autoregressive, without a pilot: a choice on the rows would spend privacy" in out
    assert "name: autoregressive" in out


@pytest.mark.usefixtures("cheap")
def test_status_of_a_pilot(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before there is a study: what is tried and how far it is, then what was chosen; other verbs say so in a line."""
    small_table(tmp_path)
    prepared, folder = _begun(tmp_path, "ratios=0.5,1,2,4")
    whole, done = fits.pilot_member, []

    def breaks(*given: Any) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(whole(*given))

    monkeypatch.setattr(fits, "pilot_member", breaks)
    with pytest.raises(KeyboardInterrupt):
        _piloted(prepared, folder)
    code, out, err = run("status", "s")
    assert code == 0, err
    assert out.splitlines()[0] == "study s: not running; the same command goes on with it"
    assert "the pilot of trees, autoregressive, mixed: 3 of 4 fits done" in out
    check_refused(run("report", "s"), "of which there is a pilot alone, as yet; takes a study that has begun")
    assert "s: a pilot" in run("ls")[1]
    done.clear()
    _piloted(prepared, folder)
    told = json.loads(run("status", "s", "--json")[1])["pilot"]
    assert told == {"chosen": folder.read_json(PILOT)["chosen"]}
    assert f"the pilot has chosen {told['chosen']}" in run("status", str(folder))[1]


@pytest.mark.usefixtures("cheap")
def test_a_study_too_small_for_a_pilot(tmp_path: Path) -> None:
    """One member at one volume: the first candidate, nothing fitted, and the record says why."""
    small_table(tmp_path)
    prepared, folder = _begun(tmp_path, "members=1", "ratios=1")
    said: list[str] = []
    chosen = _piloted(prepared, folder, said)
    assert chosen.config.generators == (("copula", {"bins": 4}),)
    kept = folder.read_json(PILOT)
    assert (kept["chosen"], kept["fits"], kept["cpu_seconds"]) == ("trees", 0, 0)
    assert "too few for one" in said[0] and said[-1] == "pilot: trees, without a comparison"
    claim_folder(chosen, folder, pilot=True)
    pilot.keep_chosen(chosen, folder)
    assert not folder.exists(PILOTS) and "Pilot" not in render_html({"pilot": kept}, {})


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["generator=[auto,copula]"], ["generator: got auto among others; takes auto alone"]),
        (["generator=auto", "generator.leaf=5"], ["generator.leaf: got a setting of auto; takes none"]),
        (["generator=auto", "privacy.epsilon=3", "privacy.delta=1e-6"], ["generator: got 'auto' in a private study"]),
        (["generator=auto", "pretrained=saved"], ["generator: got 'auto' with pretrained"]),
    ],
)
def test_what_auto_does_not_go_with(run: Run, words: list[str], parts: list[str]) -> None:
    for verb in ("check", "tune"):
        check_refused(run(verb, "breast_cancer", *words, "tracking=false"), *parts)


def test_texts_have_no_candidate(run: Run, tmp_path: Path) -> None:
    lines = ["text,y", *(f"some words {i} of many words,{i % 2}" for i in range(60))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    answer = run("check", "t.csv", "target=y", "generator=auto", "columns.text=text", "learner=tfidf_linear")
    check_refused(answer, "column 'text': got text; takes generator=language")


def test_check_tells_the_pilot(run: Run, tmp_path: Path) -> None:
    """What it fits and its share, and a configuration that still says auto."""
    small_table(tmp_path)
    words = ["t.parquet", "target=y", "generator=auto", "members=4", "ratios=0.5,1,2,4,8"]
    code, out, err = run("check", *words)
    assert code == 0, err
    (line,) = (line for line in out.splitlines() if line.startswith("# pilot, before"))
    assert "2 members each of autoregressive, trees-boosted, mixed-boosted, trees, mixed at " in line
    assert "6 generator and 6 downstream fits; the 2 of the chosen one are the study's own" in line
    assert "The others are 20% of the 20 fits that the study plans at least, and about " in line
    assert "CPU-seconds, as predicted from the table's size (at most 30% of each)" in line
    assert "name: auto" in out
    assert "# pilot without diffusion: classes to predict" in out
    checked = json.loads(run("check", *words, "--json")[1])
    assert checked["pilot"]["fits"] == 6 and checked["config"]["generator"] == {"name": "auto", "settings": {}}
    assert not (tmp_path / "studies").exists()
    named = json.loads(run("check", *words, "generator=trees", "--json")[1])
    assert "pilot" not in named


def test_the_page_has_the_pilots_table() -> None:
    row = {"se": 0.01, "to_best": [0.01, 0.02], "to_chosen": [0.0, 0.0], "cpu_seconds": 3.0}
    kept = {
        "chosen": "trees",
        "candidates": [
            {**row, "name": "trees", "score": 0.41, "chosen": True},
            {**row, "name": "autoregressive", "score": 0.4, "to_chosen": [-0.01, 0.02], "chosen": False},
        ],
        "left_out": ["diffusion: too many rows"],
        **{"metric": "log_loss", "learner": "linear", "members": 2, "volume": 100, "fits": 4, "cpu_seconds": 6.0},
    }
    page = render_html({"pilot": kept}, {})
    parse(page)
    for part in (
        "trees (chosen)",
        "-0.0100 ± 0.0200",
        "among 2 candidates",
        "test rows played no part",
        "too many rows",
    ):
        assert part in page, part
    assert "among 2 candidates" not in render_html({}, {})


@pytest.mark.slow
@pytest.mark.ray
def test_a_whole_study(tmp_path: Path) -> None:
    """On Ray with the generators themselves: weights, rows and predictions are those of the study of the chosen name,
    bit for bit (JSON beside them has seconds in it); run again, nothing is fitted."""
    small_table(tmp_path)
    words = {
        **{"target": "y", "members": 4, "ratios": [0.5, 1, 2, 4], "learner": "linear", "tracking": False},
        **{"storage": str(tmp_path / "studies"), "workers": 1},
    }
    source = str(tmp_path / "t.parquet")
    report = tune(source, {**words, "generator": "auto", "study": "auto"})
    kept = report["pilot"]
    assert [row["name"] for row in kept["candidates"]] == ["trees", "autoregressive", "mixed"]
    assert "Pilot" in (tmp_path / "studies/auto/report.html").read_text()
    assert not (tmp_path / "studies/auto/pilot").exists()
    chosen = [choice["name"] for choice in kept["generator"]]
    named = tune(source, {**words, "generator": chosen, "study": "named"})
    assert report["test"] == named["test"] and report["config"]["generator"] == named["config"]["generator"]
    compared = 0
    for path in sorted((tmp_path / "studies/named").rglob("*")):
        own = path.relative_to(tmp_path / "studies/named")
        fitted = own.parts[0] in ("members", "shards", "predictions", "baselines")
        if fitted and path.is_file() and path.suffix != ".json":
            assert (tmp_path / "studies/auto" / own).read_bytes() == path.read_bytes(), own
            compared += 1
    assert compared >= 4 + 4 + 16
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "studies/auto").rglob("*.parquet")}
    again = tune(source, {**words, "generator": "auto", "study": "auto"})
    assert again["test"] == report["test"] and again["pilot"] == kept
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "studies/auto").rglob("*.parquet")}
    assert {p: t for p, t in stamps.items() if p.name != "surface.parquet"}.items() <= after.items()
