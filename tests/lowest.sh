#!/usr/bin/env bash
# The default tests of the rooms that lean on other libraries, under the lowest versions that pyproject.toml allows.
#
#   tests/lowest.sh FOLDER                                     # a virtual environment is made there, with uv
#   TORCH='torch @ file:///wheels/torch-2.13.0...' tests/lowest.sh FOLDER   # a build of PyTorch other than the lowest
set -euo pipefail
place=$(realpath -m "$1")
cd "$(dirname "$0")/.."
python=$place/bin/python
mkdir -p "$place"
echo "${TORCH:-}" > "$place.overrides"
echo 'python-dateutil<3' > "$place.constraints"  # the tests' moto takes no later one, whatever pandas takes
uv venv --quiet --allow-existing --python 3.11 "$place"
uv pip compile --quiet --python-version 3.11 --resolution lowest-direct --override "$place.overrides" \
  --constraint "$place.constraints" pyproject.toml -o "$place.txt"
uv pip install --quiet --python "$python" -r "$place.txt"
uv pip install --quiet --python "$python" --constraint "$place.txt" --override "$place.overrides" \
  pytest hypothesis pytest-timeout psutil 'moto[s3]' statsmodels
uv pip install --quiet --python "$python" --no-deps -e .
OMP_NUM_THREADS=1 MPLBACKEND=Agg exec "$python" -m pytest -m "not ray and not slow" -p no:cacheprovider \
  tests/table tests/stats tests/downstream tests/estimators tests/study/test_config.py tests/tracking/test_served_model.py
