"""metrics.json: an AP, and what it was measured of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.files.text import read_json
from mobilenetdet.kitti.ap_result import MEASURED_KEY, AveragePrecision
from mobilenetdet.runs import RunDir

_REMEDY = "measure the run again"


@dataclass(frozen=True)
class Metrics:
    """What `mobilenetdet eval` or the end of a training has measured.

    Attributes:
        split: such as "val".
        ap: KITTI's average precision.
        measured: of which detector, see `describe_measured`; empty in files that do not say so.
        values: the whole file.
    """

    split: str
    ap: AveragePrecision
    measured: dict[str, Any]
    values: dict[str, Any]

    def other_than(self, config: DetectionConfig, weights_hash: str) -> list[str]:
        """Returns in what the detector that was measured differs from that of a run.

        What the file does not say, as those of earlier versions, differs.

        Example: `["weights", "image_size"]`.
        """
        return differing(self.measured, describe_measured(config, weights_hash))


def differing(measured: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Returns the names under which a file has not what is wanted; see `describe_measured`.

    Example: `["weights", "image_size"]`.
    """
    # Through JSON's eyes, which knows no tuples.
    return [name for name, value in _listed(wanted).items() if value != measured.get(name)]


def describe_measured(
    config: DetectionConfig, weights_hash: str, exported: str | None = None, *, engine: str = ""
) -> dict[str, Any]:
    """Returns what decides an AP beside the records, ready for JSON.

    Args:
        config: that it is measured with.
        weights_hash: see `runs.hash_weights`; "" where there is no weight file.
        exported: name of the exported file that was measured; None for a run.
        engine: what ran it, with its version; "" leaves it out.
    """
    postprocess = dataclasses.asdict(config.postprocess)
    del postprocess["calibration"]  # it moves no AP
    return {
        "weights": weights_hash,
        "exported": exported,
        "image_size": list(config.image_size),
        "postprocess": postprocess,
        **({"engine": engine} if engine else {}),
    }


def read_metrics(run: RunDir) -> Metrics:
    """Reads what the last evaluation of a run has measured.

    Raises:
        FileNotFoundError: the run was not evaluated; names the command.
        ValueError: the file is damaged; names the remedy.
    """
    path = run.metrics_file
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; measure the run first: "
            f"mobilenetdet eval --run_dir {run.shipped_name or run.path}"
        )
    values = read_json(path, _REMEDY)
    try:
        ap = AveragePrecision.from_dict(values)
        measured = values.get(MEASURED_KEY, {})
        if not isinstance(measured, dict):
            raise ValueError(f"{MEASURED_KEY} is {measured!r}")
        return Metrics(str(values["split"]), ap, measured, values)
    except KeyError as error:
        raise ValueError(f"{path}: no {error} in it; {_REMEDY}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {_REMEDY}") from None


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(each) for name, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value
