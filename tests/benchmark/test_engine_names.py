import pytest

from mobilenetdet.benchmark.engine_names import NamedEngine, engine_names


def engine(form: str, source: str, precision="float32", run="a", parts="network") -> NamedEngine:
    return NamedEngine(form, source, {"precision": precision, "run": run, "parts": parts})


@pytest.mark.parametrize(
    ("engines", "names"),
    [
        # One run: it needs no name.
        (
            [engine("litert", "/home/me/x.tflite"), engine("litert", "/home/me/y.tflite", "int8")],
            ["litert float32", "litert int8"],
        ),
        # Parts are named where they are not the network; a run in Keras has both.
        (
            [
                engine("onnx", "d.onnx", parts="detector"),
                engine("onnx", "n.onnx"),
                engine("keras", "runs/a", parts="detector"),
            ],
            ["onnx float32 whole", "onnx float32", "keras float32"],
        ),
        # Two runs.
        (
            [engine("litert", "/m/a/x.tflite"), engine("litert", "/m/b/x.tflite", run="b")],
            ["litert float32 a", "litert float32 b"],
        ),
        # Files of one name in two folders, of the same run.
        (
            [engine("litert", f"/m/{folder}/x.tflite") for folder in ("old", "new")],
            ["litert float32 old/x.tflite", "litert float32 new/x.tflite"],
        ),
        (
            [engine("litert", f"/m/{name}.tflite") for name in ("x", "y")],
            ["litert float32 x.tflite", "litert float32 y.tflite"],
        ),
        # The same file twice is the same engine.
        ([engine("litert", "x.tflite")] * 2, ["litert float32 x.tflite"] * 2),
        # A network of another program goes by its file, and is no second run.
        (
            [engine("litert", "x.tflite"), NamedEngine("openvino", "/p/yolo_int8.xml", {}, True)],
            ["litert float32", "openvino yolo_int8"],
        ),
        ([], []),
    ],
)
def test_names_are_short_and_tell_engines_apart(engines, names):
    assert engine_names(engines) == names
