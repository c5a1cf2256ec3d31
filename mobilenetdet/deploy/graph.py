"""A detector as one frozen graph of TensorFlow: from uint8 pixels, without variables."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.deploy.fold import fold_detector
from mobilenetdet.inference.detection_model import DetectionModel, detect
from mobilenetdet.models.detector import Detector

Parts = Literal["network", "detector"]
# Name of the input.
INPUT = "images"
# By this the layers of the network are told from decoding and suppression.
POSTPROCESS_SCOPE = "postprocess"
# What the files give, by the names of `RawDetections` but for the class ids.
DETECTION_OUTPUTS = ("boxes", "scores", "classes")


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


def freeze_detector(detector: Detector, config: DetectionConfig, parts: Parts) -> FrozenGraph:
    """Freezes a detector, its batch normalisation folded.

    Args:
        detector: trained; stays as it is.
        config: says the size of the input and how predictions become detections.
        parts: "network" ends at the raw predictions, "detector" at "boxes" float32 [1, N, 4] (xyxy,
            pixels of the input), "scores" float32 [1, N] and "classes" int32 [1, N], -1 for empty
            places.

    Raises:
        ValueError: Keras does not run on TensorFlow, or mirrored images are asked for and the
            anchors have no mirror image.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError("export needs KERAS_BACKEND=tensorflow; the weights are the same")
    folded = fold_detector(detector, config)
    if parts == "network":
        return freeze(lambda images: folded(images, training=False), config.image_size)
    whole = DetectionModel(folded, config.postprocess)

    def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects in one image; decoding in a name scope of its own."""
        predictions = whole.predict_raw(images)
        with tf.name_scope(POSTPROCESS_SCOPE):
            return detect(folded, predictions, config.postprocess)

    return freeze(run, config.image_size)


def freeze_postprocess(detector: Detector, config: DetectionConfig) -> FrozenGraph:
    """Freezes what makes detections of raw predictions, to be joined to another network."""
    specs = {
        name: tf.TensorSpec(value.shape, tf.float32, name=name)
        for name, value in _raw_outputs(detector).items()
    }
    names = sorted(specs)

    def run(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes and suppresses."""
        return detect(detector, dict(zip(names, values, strict=True)), config.postprocess)

    return _freeze(run, [specs[name] for name in names])


def freeze(run: Callable[[Any], dict[str, Any]], image_size: tuple[int, int]) -> FrozenGraph:
    """Freezes a function of one image, uint8 [1, H, W, 3], to a dict of tensors."""
    return _freeze(run, [tf.TensorSpec((1, *image_size, 3), tf.uint8, name=INPUT)])


def _raw_outputs(detector: Detector) -> dict[str, Any]:
    image = keras.KerasTensor((1, *detector.image_size, 3), dtype="uint8")
    return detector(image, training=False)


def _freeze(run: Callable[..., dict[str, Any]], signature: list[tf.TensorSpec]) -> FrozenGraph:
    names: list[str] = []

    def named(*inputs: tf.Tensor) -> list[tf.Tensor]:
        """Gives the outputs the names that they have in the graph."""
        found = run(*inputs)
        names[:] = sorted(found)
        return [tf.identity(found[name], name=name) for name in names]

    function = tf.function(named, input_signature=signature, autograph=False, jit_compile=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # While loops stay loops that the converters know.
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
