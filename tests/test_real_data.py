"""A short run on real images through the program, as CI sees it: it learns, and its control rows stand beside it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMAGES = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")


def test_a_short_run_on_fashion_mnist(tmp_path):
    if not IMAGES.exists() and not os.environ.get("CI"):
        pytest.skip("Fashion-MNIST is not installed: make data")
    command = [sys.executable, "-m", "rmaat", "train", "fashion_smoke", "--out", str(tmp_path / "run"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    assert all(row["samples"] == 10_000 for row in rows.values())
    assert rows["majority"]["accuracy"] == pytest.approx(0.1, abs=1e-9), "the classes are balanced"
    # this run reached 63 % where it was tuned; 45 % leaves room for other processors, and chance is 10 %
    assert rows["model"]["accuracy"] > 0.45
    assert rows["model, memory reset"]["accuracy"] < rows["model"]["accuracy"] - 0.1
    assert 0.82 < rows["linear, all 1024 places"]["accuracy"] < 0.86, "83.9 % is the known linear baseline"
