"""A trained classifier as files for other programs: an image in, logits out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mobilenetdet
from mobilenetdet.data.letterbox_image import BORDER_GREY
from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.export import write_file
from mobilenetdet.deploy.export_plan import (
    ExportPlan,
    Report,
    check_folder,
    file_names,
    no_report,
)
from mobilenetdet.exported_info import CLASSIFIER, ExportedInfo
from mobilenetdet.files.output_folder import OutputFolder

if TYPE_CHECKING:
    import keras

    from mobilenetdet.deploy.graph import FrozenGraph

INFO_FILE = f"{CLASSIFIER}.json"


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A classifier, and what has to be known beside it.

    Attributes:
        model: functional, in float32, from images [B, H, W, 3] of 0 to 255 to logits [B, C].
        image_size: H and W, pixels.
        classes: C names by class index.
        config: the whole config as a tree.
        source: the run.
    """

    model: keras.Model
    image_size: tuple[int, int]
    classes: tuple[str, ...]
    config: Mapping[str, Any]
    source: str = ""

    def describe(self, precision: str) -> ExportedInfo:
        """Returns what an exported file has to carry beside its graph."""
        return ExportedInfo(
            parts=CLASSIFIER,
            precision=precision,
            image_size=self.image_size,
            classes=self.classes,
            letterbox_grey=BORDER_GREY,
            scores_from="softmax",
            anchor_levels=(),
            drawing_scores={},
            config=self.config,
            source=Path(self.source).name,
            version=mobilenetdet.__version__,
        )


def export_classifier(
    classifier: TrainedClassifier,
    output_dir: str | os.PathLike[str],
    plan: ExportPlan,
    images: CalibrationImages | None = None,
    *,
    overwrite: bool = False,
    report: Report = no_report,
) -> list[Path]:
    """Writes a classifier as DIR/classifier_{precision}.SUFFIX, and what it is as classifier.json.

    Args:
        classifier: trained.
        output_dir: DIR; files of others there stay.
        plan: formats and precisions; a classifier has no parts.
        images: pictures by which int8 finds its ranges.
        overwrite: replaces files of others of the same names.
        report: is told each file before it is written.

    Returns:
        The paths of the files, classifier.json last.

    Raises:
        FileExistsError: a file of another is in the way, or one that earlier exports of another
            classifier have left.
        ValueError: a package is missing, or int8 has no pictures.
    """
    plan.require_packages()
    files = [(name, precision) for name, precision, _ in plan.files()]
    if images is None and any(precision == "int8" for _, precision in files):
        raise ValueError("int8 needs pictures to calibrate with")
    folder = OutputFolder(output_dir, overwrite=overwrite)
    names = [each for name, precision in files for each in file_names(name, precision, CLASSIFIER)]
    others = check_folder(folder, INFO_FILE, classifier.describe(""), names, remove=overwrite)
    graphs = {
        for_int8: freeze_classifier(classifier, for_int8=for_int8)
        for for_int8 in sorted({precision == "int8" for _, precision in files})
    }
    with folder.locked():
        written = [
            write_file(
                folder,
                name,
                graphs[precision == "int8"],
                classifier.describe(precision),
                images,
                report,
            )
            for name, precision in files
        ]
        folder.discard(others)
        with folder.writing(INFO_FILE) as path:
            path.write_text(classifier.describe("").to_json(indent=1) + "\n", encoding="utf-8")
    return [*written, folder.path / INFO_FILE]


def freeze_classifier(classifier: TrainedClassifier, *, for_int8: bool = False) -> FrozenGraph:
    """Freezes a classifier, its batch normalisation folded: uint8 [1, H, W, 3] to "logits" [1, C].

    Args:
        classifier: stays as it is.
        for_int8: see `fold_detector`.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    # Not at the top: they import TensorFlow.
    from mobilenetdet.deploy.fold import fold_model
    from mobilenetdet.deploy.graph import freeze, require_tensorflow

    require_tensorflow()
    folded = fold_model(classifier.model, for_int8=for_int8)
    return freeze(lambda images: {"logits": folded(images, training=False)}, classifier.image_size)
