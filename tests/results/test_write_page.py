"""The files of a study's report: what a later run does not draw goes, what other verbs wrote stays."""

from pathlib import Path

import pyarrow as pa
from helpers import fake_study

from dge_ray.results.assemble import write_page, write_report
from dge_ray.storage import Folder

LEARNERS = ("HistGradientBoosting", "mlp")


def test_a_figure_that_a_later_run_does_not_draw_is_deleted(tmp_path: Path) -> None:
    folder, one = Folder.open(tmp_path / "study"), fake_study.report(ratios=(1, 2), members=2)
    surfaces = [fake_study.surface(ratios=(1, 2), members=2, learner=name) for name in LEARNERS]
    rows = [{"learner": name, "volume": 26048, "ratio": 1.0, "chosen": name == "mlp"} for name in LEARNERS]
    both = {**one, "learners": rows}
    write_report(folder, both, pa.concat_tables(surfaces))
    write_page(folder, both, folder.read_table("surface.parquet"))
    folder.write_bytes("figures/utility.png", b"of another verb")
    first = set(folder.list("figures"))
    assert {"error_by_learner.png", "surface.png", "utility.png"} <= first
    write_report(folder, one, surfaces[0])
    write_page(folder, one, folder.read_table("surface.parquet"))
    assert set(folder.list("figures")) == first - {"error_by_learner.png"}
    assert b"Error by learner" not in folder.read_bytes("report.html")
    write_page(folder, {"study": "bare"}, surfaces[0].slice(0, 0))
    assert folder.list("figures") == ["utility.png"]
