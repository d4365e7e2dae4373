"""Groups against what was planted, their intervals against simulation with few rows."""

import numpy as np
import pytest

from dge_ray.stats.comparison.subgroups import Group, find_groups, subgroup_risks


def test_rarest_categories_and_tails_are_found() -> None:
    generator = np.random.default_rng(0)
    colour = np.repeat([0, 1, 2, 3], [500, 450, 47, 3])  # the last is under 0.5 %
    train = {"colour": colour, "size": generator.standard_normal(1000), "flag": np.repeat([0.0, 1.0], [900, 100])}
    train["level"] = np.zeros(1000)  # one value: no group
    test = {name: values[::5] for name, values in train.items()}
    found = find_groups(train, test, {"colour": ["a", "b", "c", "d"]})
    names = [group.name.split(" ")[0] + group.name.split(" ")[1] for group in found]
    assert names == ["colour=", "flag=", "size<=", "size>="]
    assert found[0].name == "colour = c" and found[0].share == pytest.approx(0.047)
    assert found[0].rows.tolist() == (test["colour"] == 2).tolist()
    assert [round(group.share, 2) for group in found[2:]] == [0.1, 0.1]


def test_missing_values_are_in_no_group() -> None:
    values = np.concatenate([np.full(100, np.nan), np.arange(400.0)])
    codes = np.concatenate([np.full(100, -1), np.repeat([0, 1], [350, 50])])
    found = find_groups({"x": values, "c": codes}, {"x": values, "c": codes}, {"c": ["a", "b"]})
    assert not any(group.rows[:100].any() for group in found)


def test_numbers_that_stand_for_something_are_written_as_it() -> None:
    days = {"day": np.arange(100.0), "few": np.repeat([1.0, 2.0], [90, 10])}
    found = find_groups(days, days, {}, written=dict.fromkeys(days, lambda value: f"<{value:.1f}>"))
    assert {group.name for group in found} == {"day <= <9.9>", "day >= <89.1>", "few = <2.0>"}


def test_intervals_admit_small_groups() -> None:
    """Brier risk and difference to a fixed model in a group of 40 rows, 6 members; 300 replicates of fresh members and
    rows, those with ten rows of either class. Nominal .95; .92 is 2.4 standard errors of 300 replicates below it."""
    rows = 40
    generator, held, apart = np.random.default_rng(rows), [], []

    # truth by 200,000 rows: members p = clip(.7 x + own noise), fixed model .6
    def draw(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        q = generator.uniform(0.3, 0.9, n)
        own = np.clip(q + 0.1 * generator.standard_normal((k, n)) + 0.05 * generator.standard_normal((k, 1)), 0, 1)
        return np.stack([1 - own, own], axis=2), (generator.uniform(size=n) < q).astype(int)

    risks = []
    for _ in range(400):
        p, y = draw(1000, 6)
        risks.append([((p.mean(axis=0)[:, 1] - y) ** 2).mean(), ((0.6 - y) ** 2).mean()])
    truth, other = np.mean(risks, axis=0)
    group = [Group("g", 0.1, np.ones(rows, bool))]
    for _ in range(300):
        p, y = draw(rows, 6)
        fixed = np.tile([0.4, 0.6], (rows, 1))
        row = subgroup_risks(group, p, {"real": fixed}, y)[0]
        if np.bincount(y, minlength=2).min() < 10:
            assert row["risk"][1] is None
            continue
        held.append(row["risk"][1] <= truth <= row["risk"][2])
        apart.append(row["differences"]["real"][1] <= truth - other <= row["differences"]["real"][2])
    assert len(held) > 250 and min(np.mean(held), np.mean(apart)) >= 0.92


def test_a_rare_outcome_is_too_few_to_say() -> None:
    """2,000 rows with nine of the rarer class: a mean Brier score of such has errors that no row at hand shows."""
    y = (np.arange(2000) < 9).astype(int)
    p = np.tile([0.99, 0.01], (4, 2000, 1)) + 0.001 * np.random.default_rng(0).standard_normal((4, 2000, 1))
    few, enough = Group("few", 0.1, np.ones(2000, bool)), Group("enough", 0.1, np.ones(2000, bool))
    assert subgroup_risks([few], p, {"real": p[0]}, y)[0]["risk"][1:] == [None, None]
    assert subgroup_risks([enough], p, {"real": p[0]}, (np.arange(2000) < 10).astype(int))[0]["risk"][1] is not None


def test_very_small_groups_have_no_interval_and_are_never_clear() -> None:
    generator = np.random.default_rng(1)
    p, y = generator.standard_normal((4, 50, 1)), generator.standard_normal(50)
    groups = [Group("none", 0.01, np.zeros(50, bool)), Group("five", 0.1, np.arange(50) < 5)]
    none, five = subgroup_risks(groups, p, {"real": p[0] + 100}, y)
    assert none["rows"] == 0 and "risk" not in none
    assert five["risk"][1] is None and not five["clear"]["real"]
    whole = subgroup_risks([Group("all", 1.0, np.ones(50, bool))], p, {"real": p[0] + 100}, y)[0]
    assert whole["clear"]["real"] and whole["differences"]["real"][2] < 0
    single = whole["differences"]["naive_single"][0]
    assert single == pytest.approx(-p[..., 0].var(axis=0).mean(), abs=1e-12)  # the ambiguity identity
