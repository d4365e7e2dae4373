"""`dge-ray check` on a study that exists: what `tune` would still fit, counted by hand from the files there are."""

import json
from collections.abc import Callable
from pathlib import Path

from helpers.copula import COPULA

from dge_ray.commands.check import check_study
from dge_ray.study.folder import claim_folder, study_folder
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config
from dge_ray.study.records.predictions import Job, dropped_file, prediction_file

Run = Callable[..., tuple[int, str, str]]


def test_a_finished_study(run: Run, copula_study: Path) -> None:
    """3 members x 3 volumes: nothing is left; two members and a volume more are 2 members and 5 x 4 - 9 cells."""
    storage = f"storage={copula_study / 'studies'}"
    code, out, err = run("check", *COPULA, storage)
    assert code == 0, err
    assert "all of its 9 cells" in out.splitlines()[-1] and "tune would fit nothing" in out.splitlines()[-1]
    grown = [word for word in COPULA if not word.startswith(("members", "ratios"))]
    words = [*grown, "members=5", "ratios=0.5,1,2,4", storage]
    code, out, _ = run("check", *words)
    assert "tune would fit 2 members more and 11 of its 20 cells" in out.splitlines()[-1]
    code, out, _ = run("check", *words, "--json")
    checked = json.loads(out)
    assert checked["exists"] and (checked["members_to_fit"], checked["cells"], checked["cells_to_fit"]) == (2, 20, 11)
    # another learner: all cells are new, no member is; auto, of a study that was not: 16 members at the most
    assert "0 members more and 9 of its 9 cells" in run("check", *COPULA, storage, "learner=linear")[1]
    assert "at most 13 members more and 55 of its 64 cells" in run("check", *grown, "ratios=0.5,1,2,4", storage)[1]


def test_an_unfinished_study(run: Run, tmp_path: Path) -> None:
    """One of four members, two of its cells, a volume that was given up; and a searcher, whose volumes nobody knows."""
    words = [
        "generator=copula",
        "learner=tree",
        "members=4",
        "ratios=0.5,1,2",
        f"storage={tmp_path}",
        "search.drop_hopeless=true",
    ]
    config = read_config("breast_cancer", words)
    assert not check_study(config)["exists"]
    assert "this study is new" in run("check", "breast_cancer", *words)[1]
    prepared = prepare(config)
    label = prepared.arms[0].label
    folder = study_folder(config.storage, prepared.name)
    claim_folder(prepared, folder)
    folder.write_json("members/000/member.json", {})
    for volume in prepared.volumes[:2]:
        folder.write_json(prediction_file(label, Job("member", 0, volume)), {})
    found = check_study(config)
    assert (found["members_to_fit"], found["cells"], found["cells_to_fit"]) == (3, 12, 10)
    folder.write_json(dropped_file(label, prepared.metric, 4), [prepared.volumes[2]])
    found = check_study(config)
    assert (found["cells"], found["cells_to_fit"]) == (8, 6)
    found = check_study(read_config("breast_cancer", [*words[:-1], "search=optuna"]))
    assert (found["members_to_fit"], found["cells_to_fit"]) == (3, None)
    assert "volumes that the search picks" in run("check", "breast_cancer", *words[:-1], "search=optuna")[1]
