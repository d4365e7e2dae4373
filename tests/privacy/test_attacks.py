"""Attacks on releases whose leak is known (copies, fresh rows), and `dge-ray attack` on a finished study: what it
writes, what it leaves out by name, and every kind of bad word."""

import json
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.pages import parse
from helpers.refusals import check_bad_word

from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.privacy.attacks import membership
from dge_ray.privacy.attacks.assemble import attack, draw_candidates
from dge_ray.privacy.attacks.attributes import guess, guessed_columns
from dge_ray.privacy.attacks.membership import Material, floored, membership_scores, snapped
from dge_ray.report.attacks_page import attack_lines, render_page
from dge_ray.report.words.attack import overall_verdict, verdicts
from dge_ray.stats.leakage.attacks import auc_allowed, auc_with_interval
from dge_ray.table import TableCodec, infer_schema

Run = Callable[..., tuple[int, str, str]]
N = 200


@pytest.fixture(autouse=True)
def short_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attackers' own densities, fitted shortly."""
    monkeypatch.setattr(membership, "make_generator", lambda name: make_generator(name, epochs=3, hidden=8))


def rows(seed: int, n: int = N) -> pa.Table:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    noisy = np.where(rng.random(n) < 0.5, rng.integers(0, 4, n), np.clip(np.rint(x) + 1, 0, 3).astype(int))
    return pa.table({"x": x, "z": z, "c": np.array(list("abcd"))[noisy], "y": np.where(x + z > 0, "yes", "no")})


SCHEMA = infer_schema(rows(0, 2_000), target="y")


def material(released: list[pa.Table], generators: Any = ()) -> tuple[Material, Any]:
    train, test = rows(1), rows(2)
    candidates = draw_candidates(train, test, N, seed=0, canaries=(rows(8, 20), rows(9, 20)))
    return Material(SCHEMA, released, rows(3), candidates.table(), generators, seed=0), candidates


class Memory:
    """Its log density is 1 for the rows that it was given and 0 for others."""

    def __init__(self, table: pa.Table) -> None:
        self.known = set(map(str, table.to_pylist()))

    def log_prob(self, table: pa.Table) -> np.ndarray:
        return np.array([float(str(row) in self.known) for row in table.to_pylist()])


def test_copies_are_found_and_fresh_rows_give_nothing_away() -> None:
    """Half of train is released by each member. Fresh rows: the standard error of .029 four times."""
    train = rows(1)
    halves = [train.slice(0, N // 2), train.slice(N // 2)]
    found, _ = material(halves, [Memory(train), Memory(train)])
    scores = {one.name: one for one in membership_scores(found)}
    auc = {name: auc_with_interval(one.values[:N], one.values[N : 2 * N])[0] for name, one in scores.items()}
    assert auc["nearest"] == 1.0 and auc["distance"] > 0.99 and auc["classifier"] > 0.65
    assert auc["likelihood"] > 0.6  # one nat in all, beside a density's noise
    assert abs(auc["blind"] - 0.5) < 0.12
    each = scores["nearest"].by_member
    assert each is not None and [auc_with_interval(v[:N], v[N : 2 * N])[0] for v in each] == pytest.approx(
        [0.75, 0.75], abs=0.08
    )
    fresh, _ = material([rows(5), rows(6)])
    for one in membership_scores(fresh):
        assert one.name != "likelihood"
        assert abs(auc_with_interval(one.values[:N], one.values[N : 2 * N])[0] - 0.5) < 0.12, one.name


def test_the_report_holds_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    train = rows(1)
    found, candidates = material([pa.concat_tables([train, rows(8, 20)])], [Memory(train)])
    report = attack(found, candidates, ["y", "z"], {"epsilon": 2.0, "spent": 1.0, "delta": 1e-5})
    assert report["rows"] == {"seen": N, "unseen": N, "auxiliary": N}
    assert report["privacy"]["auc_at_most"] == auc_allowed(1.0, 1e-5)
    assert set(report["privacy"]["tpr_at_most"]) == {"0.01", "0.001"}
    assert report["nearest"]["train"]["copies"] > 0.9 and report["nearest"]["interval"][0] > 0.5
    ranked = {one["name"]: one for one in report["canaries"]["ranked"]}
    assert report["canaries"]["planted"] == 20 and ranked["nearest"]["above_all"] == 1.0
    assert ranked["nearest"]["p_value"] < 1e-6 and ranked["nearest"]["mean"] == ranked["nearest"]["most"]
    leaks = {one["column"]: one for one in report["attributes"]}
    assert leaks["z"]["leak"][1] > 0 and "standard deviations" in leaks["z"]["measure"]
    whole = {"study": "<s>", "against": {"generator": "g", "members": 1, "volume": N}, "left_out": [], "limits": ["l"]}
    lines = attack_lines({**whole, **report})
    assert any(line.startswith("epsilon 1, delta") or line.startswith("epsilon 1.000") for line in lines)
    page = render_page({**whole, **report}, "")
    parse(page)
    assert "&lt;s&gt;" in page and "<s>" not in page
    by_name = {one["name"]: one for one in report["attacks"]}
    assert by_name["nearest"]["leak"] and ranked["nearest"]["leak"]
    assert lines[1].startswith("Leak found by ") and "it does not hold" in lines[1]  # copies, beside an epsilon of 1
    text = unescape(" ".join(parse(page).text))
    for name, said in verdicts({**whole, **report}):
        assert said and f"{name}: {said}" in text
    assert lines[1] in text and "nearest: leak found: rows that the generators saw can be told" in text


def test_a_value_that_released_rows_copy_is_guessed_better_of_train_rows() -> None:
    """`c` is half chance: a boosting on train's own rows learns more of it by heart than holds elsewhere."""
    train, test = rows(1, 400), rows(2, 400)
    copied = guess(SCHEMA, "c", train, train, test, seed=0)
    fresh = guess(SCHEMA, "c", rows(5, 400), train, test, seed=0)
    assert copied is not None and fresh is not None
    assert copied["leak"][1] > 0.1 and copied["measure"] == "accuracy"
    assert fresh["leak"][1] < 0 < fresh["leak"][2]
    assert guessed_columns(SCHEMA, None) == ["y", "c"] and guessed_columns(SCHEMA, ["x"]) == ["x"]
    with pytest.raises(InputError, match="attributes"):
        guessed_columns(SCHEMA, ["nope"])


def test_values_are_snapped_and_densities_floored() -> None:
    candidates = pa.table({"x": [-9.0, 0.26, 9.0], "z": [0.0, 0.0, 0.0], "c": ["a"] * 3, "y": ["no"] * 3})
    known = pa.table({"x": [0.0, 0.25, 1.5], "z": [1.0, 2.0, 3.0], "c": ["b"] * 3, "y": ["yes"] * 3})
    columns = TableCodec(SCHEMA).encode(snapped(candidates, known, SCHEMA))
    assert columns["x"].tolist() == [0.0, 0.25, 1.5] and columns["z"].tolist() == [1.0] * 3
    assert columns["c"].tolist() == [0] * 3
    assert floored(np.array([-np.inf, -3.0, 2.0])).tolist() == [-4.0, -3.0, 2.0]
    assert floored(np.array([-np.inf])).tolist() == [0.0]


def test_as_many_rows_of_each_by_seed() -> None:
    first, again, other = (draw_candidates(rows(1), rows(2, 90), 50, seed=s) for s in (0, 0, 1))
    assert first.table().num_rows == 100 and first.table().equals(again.table())
    assert not first.seen.equals(other.seen)
    assert draw_candidates(rows(1), rows(2, 90), 500, seed=0).seen.num_rows == 90


def test_a_study_is_attacked_and_the_white_box_left_out_by_name(copula_study: Path, run: Run) -> None:
    place = "studies/breast_cancer"  # of its own: what is written beside a study goes into its bundles
    shutil.copytree(copula_study / "studies", "studies")
    code, out, err = run("attack", place, "volume=200", "rows=60", "members=2", "attributes=[target]", "--json")
    assert code == 0, err
    report = json.loads(out)
    folder = Path(place)
    page = report.pop("page")
    assert report == json.loads((folder / "attacks.json").read_text()) and page.endswith("attacks.html")
    names = [one["name"] for one in report["attacks"]]
    assert names == ["blind", "density", "nearest", "distance", "classifier"]
    assert report["left_out"][0]["name"] == "likelihood" and "copula" in report["left_out"][0]["why"]
    assert report["against"]["members"] == 2 and report["rows"]["seen"] == 60 and report["canaries"] is None
    assert len(report["nearest"]["by_member"]) == 2 and report["limits"]
    assert (folder / "attacks.html").exists() and (folder / "figures" / "attacks.png").exists()
    assert not (folder / "lock.json").exists()
    pages = [unescape(" ".join(parse((folder / name).read_text()).text)) for name in ("attacks.html", "report.html")]
    for name, said in verdicts(report):
        assert all(f"{name}: {said}" in page for page in pages)
    assert all(overall_verdict(report) in page for page in pages)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("row=9", ("row", "did you mean 'rows'")),
        ("rows=0", ("rows", "whole number from 1")),
        ("members=9", ("members", "1 to 3, the members that are fitted")),
        ("attributes=[nope]", ("attributes", "'nope'")),
        ("attributes=7", ("attributes", "'7'", "of the 31 columns")),
        ("storage=elsewhere", ("study", "'breast_cancer'")),
    ],
)
def test_bad_words(copula_study: Path, run: Run, word: str, parts: tuple[str, ...]) -> None:
    check_bad_word(run, "attack", "breast_cancer", copula_study / "studies", word, parts)
