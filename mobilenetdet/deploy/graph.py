"""A detector as one frozen graph of TensorFlow: from uint8 pixels, without variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.deploy.fold import fold_detector
from mobilenetdet.exported_info import Parts
from mobilenetdet.inference.detection_model import DetectionModel, detect
from mobilenetdet.models.detector import Detector

# Name of the input.
INPUT = "images"
# By this the layers of the network are told from decoding and suppression.
POSTPROCESS_SCOPE = "postprocess"


@dataclass(frozen=True)
class FrozenGraph:
    """A function without variables.

    Attributes:
        function: uint8 [1, H, W, 3] to a list of outputs.
        outputs: their names; each is also that of a node of the graph.
    """

    function: Any
    outputs: tuple[str, ...]

    @property
    def graph_def(self) -> Any:
        """The graph as a `GraphDef`."""
        return self.function.graph.as_graph_def()

    def write_saved_model(self, path: Path) -> None:
        """Writes a SavedModel with the signature serving_default."""
        module = tf.Module()
        shape = self.function.inputs[0].shape

        def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
            """Calls the graph."""
            return dict(zip(self.outputs, self.function(images), strict=True))

        signature = [tf.TensorSpec(shape, tf.uint8, name=INPUT)]
        module.run = tf.function(run, input_signature=signature, autograph=False)
        tf.saved_model.save(module, str(path), signatures=module.run)


def freeze_detector(
    detector: Detector,
    config: DetectionConfig,
    parts: Sequence[Parts],
    *,
    for_int8: bool = False,
) -> dict[Parts, FrozenGraph]:
    """Freezes a detector, its batch normalisation folded.

    Args:
        detector: trained; stays as it is.
        config: says the size of the input and how predictions become detections.
        parts: "network" ends at the raw predictions, "detector" at "boxes" float32 [1, N, 4] (xyxy,
            pixels of the input), "scores" float32 [1, N] and "classes" int32 [1, N], -1 for empty
            places.
        for_int8: see `fold_detector`.

    Raises:
        ValueError: Keras does not run on TensorFlow, or mirrored images are asked for and the
            anchors have no mirror image.
    """
    require_tensorflow()
    folded = fold_detector(detector, config, for_int8=for_int8)
    whole = DetectionModel(folded, config.postprocess)

    def detect_in(images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects in one image; decoding in a name scope of its own."""
        predictions = whole.predict_raw(images)
        with tf.name_scope(POSTPROCESS_SCOPE):
            return detect(folded, predictions, config.postprocess)

    functions: dict[Parts, Callable[[Any], dict[str, Any]]] = {
        "network": lambda images: folded(images, training=False),
        "detector": detect_in,
    }
    return {part: freeze(functions[part], config.image_size) for part in parts}


def require_tensorflow() -> None:
    """Refuses another backend.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError("export needs KERAS_BACKEND=tensorflow; the weights are the same")


def freeze(run: Callable[[Any], dict[str, Any]], image_size: tuple[int, int]) -> FrozenGraph:
    """Freezes a function of one image, uint8 [1, H, W, 3], to a dict of tensors."""
    names: list[str] = []

    def named(images: tf.Tensor) -> list[tf.Tensor]:
        """Gives the outputs the names that they have in the graph."""
        found = run(images)
        names[:] = sorted(found)
        return [tf.identity(found[name], name=name) for name in names]

    signature = [tf.TensorSpec((1, *image_size, 3), tf.uint8, name=INPUT)]
    function = tf.function(named, input_signature=signature, autograph=False, jit_compile=False)
    # While loops stay loops, which the converters know.
    frozen = convert_variables_to_constants_v2(
        function.get_concrete_function(), lower_control_flow=False
    )
    return FrozenGraph(frozen, tuple(names))


def from_graph_def(graph_def: Any, like: FrozenGraph) -> FrozenGraph:
    """Returns a graph that was changed as a function with the inputs and outputs of another."""
    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
    tensor = imported.graph.get_tensor_by_name
    function = imported.prune(tensor(f"{INPUT}:0"), [tensor(f"{n}:0") for n in like.outputs])
    return FrozenGraph(function, like.outputs)
