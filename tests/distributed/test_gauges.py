"""A study's metrics as Prometheus would scrape them from Ray's agent; needs `ray[default]` (the `cluster` extra)."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dge_ray.distributed.gauges import NAMES

STUDY = """
import json, re, sys, threading, urllib.request
import ray
from dge_ray.study.read_config import read_config
from dge_ray.distributed.session.ray_session import NAMESPACE
from dge_ray.commands.tune import run_study

port, storage = int(sys.argv[1]), sys.argv[2]
ray.init(address="local", namespace=NAMESPACE, num_cpus=2, include_dashboard=False, _metrics_export_port=port,
         logging_level="ERROR", log_to_driver=False)
seen, over = {}, threading.Event()

def look():
    while True:
        last = over.wait(1)
        try:
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        except OSError:
            continue
        for name, labels, value in re.findall(r"^ray_dge_ray_(\\w+){(.*)} (\\S+)$", text, re.MULTILINE):
            if 'study="breast_cancer"' in labels:
                seen[name] = max(seen.get(name, 0.0), float(value))
        seen["spilled"] = float("ray_object_store_memory" in text and "SPILLED" in text)
        if last:
            return

thread = threading.Thread(target=look)
thread.start()
words = ["generator=copula", "learner=boosting", "members=3", "ratios=1,2", "tracking=false", "storage=" + storage]
report = run_study(read_config("breast_cancer", words))
threading.Event().wait(5)  # agents report every few seconds
over.set()
thread.join()
print(json.dumps([seen, report["cost"]["downstream_fits"]]))
"""


@pytest.mark.slow
def test_the_metrics_can_be_scraped(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp_cors", reason="ray[default] is not installed: no agent exports metrics")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", STUDY, str(port), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    seen, fits = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(seen) == {*NAMES, "spilled"} and seen["spilled"]
    assert seen["members_ready"] == 3 and seen["fits_done"] == seen["fits_wanted"] == fits
    assert seen["rows_drawn"] == 3 * 1024  # whole shards beyond twice the 348 rows
