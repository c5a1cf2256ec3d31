"""A detector of a run that can be exported: what `mobilenetdet.load` gives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from mobilenetdet.deploy.calibration_images import NUM_IMAGES
from mobilenetdet.deploy.export import export_detector
from mobilenetdet.deploy.export_plan import ExportFormat, ExportPlan, Precision
from mobilenetdet.exported_info import Parts
from mobilenetdet.inference.loaded_detector import LoadedDetector


@dataclass(frozen=True, eq=False, repr=False)
class ExportableDetector(LoadedDetector):
    """A detector in Keras, which writes itself for other programs."""

    @classmethod
    def of(cls, model: LoadedDetector) -> ExportableDetector:
        """Returns the same detector with `export`."""
        return cls(**{item.name: getattr(model, item.name) for item in fields(model)})

    def export(
        self,
        output_dir: str | os.PathLike[str] = "exported",
        *,
        formats: Sequence[ExportFormat] = ("litert",),
        precisions: Sequence[Precision] = ("float32",),
        parts: Sequence[Parts] = ("detector",),
        image_size: tuple[int, int] | None = None,
        calibration_images: str | os.PathLike[str] | None = None,
        num_calibration_images: int = NUM_IMAGES,
        overwrite: bool = False,
    ) -> list[Path]:
        """Writes the detector for other programs; see `ExportPlan` and `export_detector`.

        Args:
            output_dir: files of others there stay.
            formats: saved_model, frozen_graph, litert, onnx or openvino.
            precisions: float32, float16 or int8.
            parts: detector or network.
            image_size: height and width of the input, pixels, multiples of 32; by default as is.
            calibration_images: folder of pictures for int8; by default the training records.
            num_calibration_images: at most so many.
            overwrite: replaces files of others of the same names.

        Returns:
            The paths of the files; detector.json, which says what they are, is the last.

        Raises:
            FileExistsError: a file of another is in the way.
            FileNotFoundError: int8 has no pictures to calibrate with.
            ValueError: an unknown format, a missing package, or a size that does not fit.

        Example: `md.load().export("out", formats=["litert"], precisions=["int8"])`.
        """
        plan = ExportPlan(
            formats=formats,
            precisions=precisions,
            parts=parts,
            image_size=image_size,
            calibration_images=None if calibration_images is None else Path(calibration_images),
            num_calibration_images=num_calibration_images,
        )
        return export_detector(self, output_dir, plan, overwrite=overwrite)
