"""The tables that the pages' examples read: small, made of a fixed seed, and of every common kind of column."""

from pathlib import Path

import numpy as np
import pandas as pd

STATES = ("CA", "NY", "TX", "WA")


def people(rows: int, seed: int = 0) -> pd.DataFrame:
    """Age, weekly hours, sex, state, and whether the income is high, which depends on the first three."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    hours = np.clip(np.rint(rng.normal(38, 9, rows)), 1, 80).astype(int)
    sex = rng.choice(["f", "m"], rows)
    logit = 0.05 * (age - 45) + 0.08 * (hours - 38) + 0.5 * (sex == "m") - 0.6
    income = np.where(rng.random(rows) < 1 / (1 + np.exp(-logit)), "high", "low")
    return pd.DataFrame(
        {"age": age, "hours": hours, "sex": sex, "state": rng.choice(STATES, rows), "income": income},
    )


def visits(patients: int = 60, seed: int = 3) -> pd.DataFrame:
    """Eight visits a patient: a day, a pulse, and whether the patient is ill, which is one coin for all visits."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), 8)
    seen = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, len(patient)), unit="D")
    pulse = rng.normal(70, 8, patients)[patient] + rng.normal(0, 0.1, len(patient))
    ill = np.where(rng.random(patients) < 0.5, "yes", "no")[patient]
    return pd.DataFrame({"patient": patient, "seen": seen, "pulse": pulse.round(1), "ill": ill})


def write_page_files(folder: Path) -> None:
    """What the pages call `people.csv`, `people.parquet`, `new_people.csv` and so on, into a folder."""
    people(600).to_csv(folder / "people.csv", index=False)
    people(600).to_parquet(folder / "people.parquet", index=False)
    people(200, seed=1).to_parquet(folder / "test.parquet", index=False)
    visits().to_csv(folder / "visits.csv", index=False)
    people(50, seed=2).to_csv(folder / "new_people.csv", index=False)
