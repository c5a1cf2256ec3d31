"""docs/ray.md: its program, on a local Ray of two workers."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mobilenetdet as md

PAGE = Path(__file__).parents[1] / "docs/ray.md"
_NUM_PICTURES = 40

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="ray is not installed (extra [ray])"
    ),
]


def test_the_program_finds_what_one_process_finds(shared_dir, tmp_path):
    for path in sorted((shared_dir / "kitti/training/image_2").glob("*.jpg"))[:_NUM_PICTURES]:
        (tmp_path / "pictures").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "pictures")
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "program.py"
    start = "pictures = ray.data"
    assert start in program
    script.write_text(program.replace(start, f"ray.init(num_cpus=2)\n{start}"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(tmp_path / "found").to_pylist()
    assert len(rows) == _NUM_PICTURES
    model = md.load("ssd_fpn_050/detector_int8.tflite")
    assert any(json.loads(row["objects"]) for row in rows)
    for row in rows:
        # As Ray decodes it, which may be another level of grey than OpenCV's.
        with Image.open(tmp_path / "pictures" / Path(row["path"]).name) as picture:
            expected = model.detect(np.asarray(picture.convert("RGB"))).to_json()
        assert json.loads(row["objects"]) == json.loads(json.dumps(expected))
