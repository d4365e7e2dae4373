"""The files of the collection of public reports, where it lies beside the project: each ends as it should; and no row
of it is without a test (`test_reports_of_*.py`)."""

import re
from pathlib import Path

import pytest

from dge_ray.errors import InputError
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config

REPORTS = Path(__file__).parents[3] / "shared" / "reports"
OF_RESULTS = {55}  # whether all learners are worse than the class shares is seen in a report, not in a table
FILES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "01_leading_zeros.csv": ((), dict.fromkeys(("zip", "branch", "visit_ddmmyyyy"), "categorical")),
    "02_decimal_comma.csv": ((), {"income": "numeric", "rate": "numeric"}),
    "03_latin1.csv": ((), {"city": "categorical"}),
    "03b_latin1_header.csv": ((), {"Größe": "integer"}),
    "04_bom_crlf.csv": ((), {"age": "integer"}),
    "07_inf_text.csv": (("infinite=missing",), {"ratio": "numeric"}),
    "08_na_words.csv": ((), {"country": "categorical", "state": "categorical", "score": "numeric"}),
    "09_missing_marks.csv": ((), dict.fromkeys(("chol", "lab", "dose", "sas", "n_a", "pressure"), "numeric")),
    "10_blank_total.csv": (("target=Churn",), {"TotalCharges": "numeric", "customerID": "identifier"}),
    "11_names.csv": ((), {"c[0]": "numeric", "comma,name": "numeric", "new\nline": "numeric", "a=b": "numeric"}),
    "11d_yaml_names.csv": (("target=No",), {"null": "*", "1.10": "*", "on": "*"}),
    "12_unnamed_index.csv": ((), {"": "left out"}),
    "12c_trailing_all.csv": ((), {"": "left out"}),
    "13_dates_text.csv": ((), dict.fromkeys(("us", "de", "mixed", "iso", "us_time", "isoz", "off"), "datetime")),
    "14_time_of_day.csv": ((), {"at": "datetime", "hhmm": "datetime"}),
    "16_timedelta.parquet": ((), {"stay": "datetime"}),
    "17_big_numbers.parquet": ((), {"amount": "numeric", "tweet": "identifier", "acct": "categorical"}),
    "18_booleans.csv": ((), {"smoker": "boolean", "flagR": "boolean", "tf": "categorical", "yn": "categorical"}),
    "19_categorical.parquet": ((), {"grade": "categorical"}),
    "20_nested.parquet": (("drop=[tags,geo]",), {"age": "integer"}),
    "20e_folder": ((), {"k": "integer"}),
    "21_all_null.csv": ((), {"empty": "left out", "all_na": "left out", "const": "constant"}),
    "22_nearly_all_missing.csv": ((), {"rare_num": "numeric", "rare_cat": "categorical", "rare_date": "datetime"}),
    "24_tails.parquet": ((), {"debt": "numeric", "cauchy": "numeric", "neg0": "integer"}),
    "27_rare_3.csv": (("target=Class",), {}),
    "28b_classes49.csv": (("target=Product Class", "rare_classes=merge"), {"Product Class": "categorical"}),
    "30_number_like.csv": ((), {"day": "datetime", **dict.fromkeys(("customer", "card", "ssn"), "identifier")}),
    "31c_comment.csv": ((), {"income": "numeric"}),
    "31g.tsv": ((), {"income": "numeric"}),
    "31h_spaces.csv": ((), {"income": "numeric"}),
    "31i.txt": ((), {"income": "numeric"}),
    "31r_blank_commas.csv": ((), {"income": "numeric"}),
    "32d_groups.csv": (("group_column=patient", "keep_group_column=true"), {"patient": "*"}),
    "32e_tiny45_names.csv": ((), {"email": "identifier", "card": "identifier"}),
    "33_lognormal_target.csv": (("target=claim",), {"claim": "numeric"}),
    "36_censored.csv": ((), {"lab": "numeric"}),
}


@pytest.mark.skipif(not REPORTS.exists(), reason="the collection of reports is not beside the project")
@pytest.mark.parametrize("name", FILES)
def test_the_files_of_the_collection(name: str, tmp_path: Path) -> None:
    words, kinds = FILES[name]
    keys = ["generator=copula", f"storage={tmp_path}", "study=s", *([] if "target" in str(words) else ["target=y"])]
    if not kinds:  # of its two classes one has three rows: no study can be made of that
        with pytest.raises(InputError, match="target 'Class': got class 1 in 3 rows"):
            prepare(read_config(str(REPORTS / "inputs" / name), [*keys, *words]))
        return
    found = prepare(read_config(str(REPORTS / "inputs" / name), [*keys, *words]))
    for column, kind in kinds.items():
        if kind == "left out":
            assert column not in found.schema.names
        else:
            assert column in found.schema.names and kind in ("*", found.schema[column].kind)


@pytest.mark.skipif(not REPORTS.exists(), reason="the collection of reports is not beside the project")
def test_no_row_and_no_file_of_the_collection_is_left_out() -> None:
    rows_of_tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_reports_of_*.py"))
    shown = {int(number) for number in re.findall(r"^(?:def )?test_row_(\d+)_", rows_of_tests, re.MULTILINE)}
    rows = re.findall(r"^\| (\d+) \|", (REPORTS / "README.md").read_text(), re.MULTILINE)
    assert shown | OF_RESULTS == set(map(int, rows)) and len(rows) > 25
    assert set(FILES) == {path.name for path in (REPORTS / "inputs").iterdir()}
