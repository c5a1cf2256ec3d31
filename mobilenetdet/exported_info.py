"""What an exported file carries beside its graph, in the format's own metadata and in a JSON file.

Nothing but the standard library is needed to read it, so that a camera can.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import SimpleNamespace
from typing import Any, Literal

# By this name the formats keep it.
INFO_KEY = "mobilenetdet"
# The same beside the files, for programs that read no metadata.
INFO_FILE = "detector.json"
# What of a detector is exported.
Parts = Literal["network", "detector"]
# The parts of an exported classifier: it ends at logits, and no detector can be made of it.
CLASSIFIER = "classifier"
# Goes up when earlier versions could not read what is written.
_LAYOUT = 1


@dataclass(frozen=True)
class ExportedInfo:
    """All that has to be known beside the graph of an exported file.

    Attributes:
        parts: "network" ends at the raw predictions, "detector" at boxes, scores and classes,
            "classifier" at logits.
        precision: "float32", "float16" (weights alone) or "int8" (the network; what follows it is
            in float32).
        image_size: height and width of the input, pixels.
        classes: names by class index.
        letterbox_grey: value of the pixels around a picture that is fitted into the input.
        scores_from: how scores come from "class_logits": "sigmoid", "softmax_after_background" or
            "softmax_times_confidence"; from those of a classifier by "softmax".
        anchor_levels: stride and shapes (width, height) of each map, pixels of the input.
        drawing_scores: score of each class from which on detections are worth drawing.
        config: the whole config as a tree: thresholds, suppression, calibration; no place of the
            machine, see `DetectionConfig.for_sharing`.
        frames_seen: hashes of the frames trained on and whether these are all; None if not known.
        ap: what `mobilenetdet eval` measured of the run before it was exported; None if nothing.
        source: the run.
        version: of mobilenetdet.
        weights: hash of the weight file that it was made of, see `runs.hash_weights`; "" if that
            is not known.
    """

    parts: str
    precision: str
    image_size: tuple[int, int]
    classes: tuple[str, ...]
    letterbox_grey: int
    scores_from: str
    anchor_levels: tuple[tuple[int, tuple[tuple[float, float], ...]], ...]
    drawing_scores: Mapping[str, float]
    config: Mapping[str, Any]
    frames_seen: Mapping[str, Any] | None = None
    ap: Mapping[str, Any] | None = None
    source: str = ""
    version: str = ""
    weights: str = ""
    layout: int = field(default=_LAYOUT)

    @property
    def postprocess(self) -> Any:
        """The settings of decoding and suppression, as `PostprocessConfig` has them."""
        return _namespace(self.config["postprocess"])

    def to_json(self, *, indent: int | None = None) -> str:
        """Returns it as JSON, which `from_json` reads back equal."""
        return json.dumps(asdict(self), indent=indent)

    @classmethod
    def from_json(cls, text: str | None, source: str) -> ExportedInfo:
        """Reads what `to_json` wrote.

        Args:
            text: None where a file has no metadata of ours.
            source: the file, for messages.

        Raises:
            ValueError: there is none, it is of a later version, or it is damaged.
        """
        if text is None:
            raise ValueError(
                f"{source} has no metadata of mobilenetdet, so classes and anchors are not known; "
                "export it with mobilenetdet export"
            )
        damaged = f"{source}: its metadata are damaged ({{}}); export it again"
        try:
            values = json.loads(text)
            is_later = values["layout"] > _LAYOUT
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(damaged.format(repr(error))) from None
        if is_later:
            raise ValueError(
                f"{source} was exported by mobilenetdet {values.get('version')}, which is later "
                "than this one; update it"
            )
        try:
            values = {"weights": ""} | values  # files of earlier versions do not say
            known = {item.name: values[item.name] for item in fields(cls)}
            known["anchor_levels"] = tuple(
                (int(stride), tuple((float(w), float(h)) for w, h in shapes))
                for stride, shapes in known["anchor_levels"]
            )
            height, width = known["image_size"]
            known |= {"image_size": (int(height), int(width)), "classes": tuple(known["classes"])}
            return cls(**known)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(damaged.format(repr(error))) from None


def _namespace(value: Any) -> Any:
    if isinstance(value, Mapping):
        return SimpleNamespace(**{name: _namespace(each) for name, each in value.items()})
    return tuple(map(_namespace, value)) if isinstance(value, list | tuple) else value
