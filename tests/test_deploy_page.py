"""The Python of docs/deploy.md, run as a reader would: without this package and what it needs."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.exportable import picture

PAGE = Path(__file__).resolve().parents[1] / "docs/deploy.md"
LETTERBOX, *TEN_LINES = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
)
# Format to the module that runs it; the page has one example of each, in this order.
ENGINES = {"litert": "ai_edge_litert", "onnx": "onnxruntime", "openvino": "openvino"}
READER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
{example}
import json
print(json.dumps([names, np.asarray(boxes, float).tolist()]))
"""


def modules_of(package: str) -> set[str]:
    """What a package brings at the top level, nothing if it is not installed."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return set()
    return {each.parts[0].split(".")[0] for each in files if each.suffix in (".py", ".so")}


def blocked_for(engine: str) -> set[str]:
    """The package, all that it depends on but numpy and OpenCV, and the other engines."""
    lines = importlib.metadata.requires("mobilenetdet") or []
    packages = {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for line in lines}
    modules = set().union(*map(modules_of, packages))
    # What an engine brings itself is no matter of this package.
    kept = {"numpy", "cv2", "google", ENGINES[engine]}
    return ({"mobilenetdet", "tensorflow", "keras"} | modules) - kept


@pytest.mark.parametrize("engine", ENGINES)
def test_an_example_is_ten_lines_for_its_engine(engine):
    (example,) = (each for each in TEN_LINES if f"{ENGINES[engine]}" in each)
    assert "letterbox(image" in example
    assert len([line for line in example.splitlines() if line and "import" not in line]) <= 11
    assert {"tensorflow", "pydantic", "matplotlib"} <= blocked_for(engine)
    assert not {"numpy", "cv2", ENGINES[engine]} & blocked_for(engine)


# Larger than the input of the network, and more than twice as large.
@pytest.mark.parametrize(
    ("engine", "width", "height"),
    [("litert", 160, 100), ("litert", 480, 300), ("onnx", 480, 300), ("openvino", 480, 300)],
)
def test_ten_lines_give_the_boxes_of_a_run(
    small_detector, tmp_path: Path, engine: str, width: int, height: int
):
    pytest.importorskip(ENGINES[engine], reason=f"the extra [{engine}] is not installed")
    if engine == "onnx":
        pytest.importorskip("tf2onnx", reason="the extra [export] is not installed")
    model = small_detector("ssd")
    model.export(tmp_path / "exported", formats=[engine])
    image = cv2.resize(picture(), (width, height))
    cv2.imwrite(str(tmp_path / "photo.jpg"), image[..., ::-1])
    (example,) = (each for each in TEN_LINES if ENGINES[engine] in each)
    program = READER.format(blocked=blocked_for(engine), example=LETTERBOX + example)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names, boxes = json.loads(done.stdout.splitlines()[-1])
    expected = model.detect(tmp_path / "photo.jpg").above(model.drawing_scores)
    assert names == expected.class_names.tolist() and len(names) > 0
    clipped = np.clip(boxes, 0, [width, height] * 2)
    np.testing.assert_allclose(clipped, expected.boxes_xyxy, atol=0.2)
