"""Where do members differ? Mean and standard deviation of their predictions over the plane of two features.

usage: maps.py STUDY PNG        STUDY: the folder of a finished study of a table with two numeric features

Axes span the real training rows; the dashed line is where the mean is one half. The standard deviation (ddof 1) holds
generators, their rows and the learner's seed, since each member has its own; not the real rows, which all share.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dge_ray.storage import Folder
from dge_ray.study.folder import read_study_config
from dge_ray.study.prepare import prepare
from dge_ray.study.records.predictions import Job, model_folder
from dge_ray.table import to_pandas
from dge_ray.tracking.scoring import FittedEnsemble

POINTS = 200  # on each axis


def main(study: str, png: str) -> None:
    folder = Folder.open(study)
    prepared = prepare(read_study_config(folder))
    names = [column.name for column in prepared.schema.features]
    if len(names) != 2:
        sys.exit(f"{study}: {len(names)} features; maps take a table with two")
    report = json.loads(folder.read_bytes("report.json"))
    train = to_pandas(prepared.parts["train"])[names]
    mean, spread, axes = members_map(folder, report, prepared.schema.to_json(), train)
    near = np.abs(mean - 0.5) < 0.1
    print(json.dumps({"sd": float(spread.mean()), "sd_near_the_boundary": float(spread[near].mean())}))
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    titles = (f"mean of {report['members']} members: {prepared.schema.classes[1]}", "standard deviation of members")
    for ax, values, title in zip(figure.subplots(1, 2), (mean, spread), titles, strict=True):
        shown = ax.pcolormesh(*axes, values, cmap="viridis", shading="auto")
        ax.contour(*axes, mean, levels=[0.5], colors="white", linestyles="dashed", linewidths=1)
        ax.set(title=title, xlabel=names[0], ylabel=names[1])
        figure.colorbar(shown, ax=ax)
    figure.savefig(png, dpi=110)


def members_map(
    folder: Folder, report: dict, schema: str, train: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Mean and standard deviation over members of the second class's probability; (POINTS, POINTS), rows along y."""
    axes = [np.linspace(train[name].min(), train[name].max(), POINTS) for name in train.columns]
    grid = np.stack([plane.ravel() for plane in np.meshgrid(*axes)], axis=1)
    frame = pd.DataFrame(grid, columns=train.columns)
    each = []
    for k in range(report["members"]):
        job = Job("member", k, report["reflection_point"]["volume"])
        with folder.downloaded(model_folder(report["learner"], job)) as model, tempfile.TemporaryDirectory() as one:
            Path(one, "schema.json").write_text(schema)
            Path(one, "member=000").symlink_to(model)
            predicted = FittedEnsemble(Path(one)).predict(frame)
        each.append(predicted.filter(like="proba_").to_numpy()[:, 1].reshape(POINTS, POINTS))
    members = np.stack(each)
    return members.mean(axis=0), members.std(axis=0, ddof=1), axes


if __name__ == "__main__":
    main(*sys.argv[1:3])
