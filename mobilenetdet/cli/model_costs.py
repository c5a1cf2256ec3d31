"""Parameters and multiply-adds of the models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mobilenetdet.cli.options import parse
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.system.quiet import import_tensorflow_quietly

if TYPE_CHECKING:
    from mobilenetdet.benchmark.model_cost import ModelCost


@dataclass(frozen=True)
class Options:
    """Print parameters and multiply-adds (MACs) as Markdown tables.

    classifiers: MobileNetV1 with its last layer, for every width and resolution. detectors: the
    presets, MACs of everything up to the raw predictions. Running averages of batch normalisation
    are no parameters.
    """

    # Tables to print.
    tables: tuple[Literal["classifiers", "detectors"], ...] = ("classifiers", "detectors")
    # Width multipliers of the classifiers.
    alphas: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25)
    # Sides of their square images, pixels.
    sizes: tuple[int, ...] = (224, 192, 160, 128)
    # Their classes.
    num_classes: int = 1000
    # Presets of detectors.
    presets: tuple[str, ...] = tuple(PRESETS)


def main(argv: list[str] | None = None) -> int:
    """Prints the tables; returns 0.

    Raises:
        ValueError: an unknown preset, or a width or size that is not above 0.
    """
    options = parse(Options, argv)
    for size in options.sizes:
        if size < 1:
            raise ValueError(f"size is {size}; it must be above 0")
    import_tensorflow_quietly()
    rows = {"classifiers": _classifier_rows, "detectors": _detector_rows}
    tables = (["", *rows[table](options)] for table in options.tables)
    print("\n".join(line for table in tables for line in table)[1:])
    return 0


def _classifier_rows(options: Options) -> Iterator[str]:
    # Not at the top, here and below: it takes seconds to import, and the help does without.
    from mobilenetdet.benchmark.model_cost import measure_classifiers

    yield "| width | image | parameters | MACs |"
    yield "|---|---|---|---|"
    costs = measure_classifiers(options.alphas, options.sizes, num_classes=options.num_classes)
    for (alpha, size), cost in costs.items():
        yield f"| {alpha:g} | {size}x{size} | {_cost_columns(cost)} |"


def _detector_rows(options: Options) -> Iterator[str]:
    from mobilenetdet.benchmark.model_cost import measure_cost
    from mobilenetdet.models.detector import build_detector

    yield "| preset | image | parameters | MACs |"
    yield "|---|---|---|---|"
    for name, config in [(name, make_preset(name)) for name in options.presets]:
        detector, _ = build_detector(config, load_weights=False)
        cost = measure_cost(detector, config.image_size)
        yield f"| `{name}` | {'x'.join(map(str, config.image_size))} | {_cost_columns(cost)} |"


def _cost_columns(cost: ModelCost) -> str:
    return f"{cost.parameters / 1e6:.2f} M | {cost.macs / 1e6:,.0f} M"
