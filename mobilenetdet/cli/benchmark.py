"""Compare the formats and precisions of a detector on this machine: AP, time, size, memory."""

from __future__ import annotations

import contextlib
import platform
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenetdet.benchmark.engine_benchmark import MIN_RUNS, Conditions, benchmark_engines
from mobilenetdet.benchmark.timed_files import (
    ENGINE_FORMATS,
    EngineFile,
    EngineFormat,
    ExportChoice,
    export_files,
    exported_files,
    foreign_files,
    open_model,
    write_pictures,
)
from mobilenetdet.benchmark.timing import cpu_name
from mobilenetdet.cli.export import parse_size
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.progress import print_now
from mobilenetdet.config.detection import DataConfig
from mobilenetdet.deploy.calibration_images import NUM_IMAGES
from mobilenetdet.deploy.export_plan import Precision
from mobilenetdet.exported_info import Parts
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import write_json
from mobilenetdet.inference.exported import read_exported_config
from mobilenetdet.media.find import find_files
from mobilenetdet.records.shards import count_frames
from mobilenetdet.runs import DEFAULT_WEIGHTS
from mobilenetdet.system.cores import num_cores
from mobilenetdet.system.quiet import import_tensorflow_quietly

if TYPE_CHECKING:
    from mobilenetdet.benchmark.engine_benchmark import EngineResult

JSON_FILE, TABLE_FILE, PLOT_FILE = "benchmark.json", "benchmark.md", "benchmark.png"
_MODELS_DIR = "models"
_WIDTH = 100


@dataclass(frozen=True)
class Options:
    """Compare the formats and precisions of a detector on this machine: AP, ms, MB, memory.

    Exports the run to OUTPUT_DIR/models and times each file in a process of its own, by turns, on
    pictures of the records or on rendered ones; writes benchmark.json, benchmark.md and
    benchmark.png. What is not installed is named and left out. Run it on a machine that does
    nothing else.
    """

    # Run directory, or the name of weights that ship with the package.
    run_dir: Path = Path(DEFAULT_WEIGHTS)
    # Weights; by default the best of the run.
    weights: Path | None = None
    # Files that are exported already, instead of a run.
    models: tuple[Path, ...] = ()
    # Networks of other programs to time by turns with ours: .xml (OpenVINO) or .onnx, one image in.
    beside: tuple[Path, ...] = ()
    # keras (the run itself), litert, onnx, openvino, saved_model, frozen_graph.
    formats: tuple[EngineFormat, ...] = ENGINE_FORMATS
    # float32, float16 (kernels alone) or int8 (litert, onnx and openvino).
    precisions: tuple[Precision, ...] = ("float32", "float16", "int8")
    # network (suppression in numpy, timed apart) or detector (suppression inside).
    parts: tuple[Parts, ...] = ("network",)
    # Heights and widths of the input, multiples of 32: 384x1248 480x1568. By default the run's.
    image_size: tuple[str, ...] = ()
    # Records; AP is measured on their validation split. By default no AP is.
    records_dir: Path | None = None
    # Folder of pictures by which int8 finds its ranges; by default the training records.
    calibration_images: Path | None = None
    # At most so many of them, 1 or more.
    num_calibration_images: int = NUM_IMAGES
    # Video, or folder of pictures, for frames/s of the whole.
    video: Path | None = None
    # At most so many frames of it, 1 or more.
    max_video_frames: int = 100
    # Timed runs of each engine, 50 or more.
    runs: int = MIN_RUNS
    # Cores and threads of each engine; by default all that this process may use.
    threads: int | None = None
    # Where the results go; files of others there stay.
    output_dir: Path = Path("benchmark")
    # Replaces files of others of the same names.
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks the counts."""
        if self.runs < MIN_RUNS:
            raise ValueError(f"runs is {self.runs}; a median and a p90 need {MIN_RUNS} or more")
        if self.max_video_frames < 1:
            raise ValueError(f"max_video_frames is {self.max_video_frames}; it must be above 0")
        if self.threads is not None and not 1 <= self.threads <= num_cores():
            raise ValueError(f"threads is {self.threads}; there are {num_cores()} cores to use")
        of_export = (
            *("run_dir", "weights", "formats", "precisions", "parts", "image_size"),
            *("calibration_images", "num_calibration_images"),
        )
        plain = {item.name: item.default for item in fields(self)}
        asked = [f"--{name}" for name in of_export if getattr(self, name) != plain[name]]
        if self.models and asked:
            raise ValueError(f"--models are exported already; leave {', '.join(asked)} out")

    def export_choice(self) -> ExportChoice:
        """Which files the run is exported to."""
        return ExportChoice(
            formats=self.formats,
            precisions=self.precisions,
            parts=self.parts,
            image_sizes=tuple(map(parse_size, self.image_size)),
            calibration_images=self.calibration_images,
            num_calibration_images=self.num_calibration_images,
        )


def main(argv: list[str] | None = None) -> int:
    """Exports, measures, prints the table and writes the files; returns 0.

    Raises:
        FileExistsError: a file of another is in the way, or another process is writing there.
        FileNotFoundError: there is no such run, file, video or split.
        ValueError: a size is none that the network can have, or no engine is left.
    """
    options = parse(Options, argv)
    folder = OutputFolder(options.output_dir, overwrite=options.overwrite)
    folder.refuse_foreign([JSON_FILE, TABLE_FILE, PLOT_FILE])
    if options.video is not None:
        find_files([str(options.video)])
    with folder.locked(), tempfile.TemporaryDirectory() as pictures_dir:
        files, left_out, split = _files(options)
        if options.records_dir is not None:
            count_frames(options.records_dir, split)
        pictures, what = write_pictures(
            Path(pictures_dir), options.records_dir, split, options.video
        )
        conditions = Conditions(
            pictures=pictures,
            num_threads=options.threads or num_cores(),
            runs=options.runs,
            video=options.video,
            max_video_frames=options.max_video_frames,
            records_dir=options.records_dir,
        )
        results, failed = benchmark_engines(files, conditions, print_now)
        _write(folder, results, [*left_out, *failed], _facts(conditions, what))
    return 0


def _files(options: Options) -> tuple[list[EngineFile], list[str], str]:
    """What is timed, what is left out and why, and the split that AP is measured on."""
    foreign_files(options.beside)  # before the minutes that exporting takes
    if options.models:
        files = [*exported_files(options.models), *foreign_files(options.beside)]
        return files, [], _split_of(options.models)
    import_tensorflow_quietly()
    model = open_model(options.run_dir, options.weights, options.records_dir)
    print(f"exporting {model.source} to {options.output_dir / _MODELS_DIR}", flush=True)
    files, left_out = export_files(
        model,
        options.export_choice(),
        options.output_dir / _MODELS_DIR,
        weights=options.weights,
        overwrite=options.overwrite,
        report=print_now,
    )
    files += foreign_files(options.beside, beside=files[0].image_size if files else None)
    return files, left_out, model.config.data.val_split


def _split_of(models: Sequence[Path]) -> str:
    """The validation split of the first file whose runtime is installed."""
    for path in models:
        with contextlib.suppress(ValueError):
            return read_exported_config(path).data.val_split
    return DataConfig().val_split


def _facts(conditions: Conditions, pictures: str) -> dict[str, Any]:
    """How it was measured, by name."""
    facts = {
        "processor": cpu_name(),
        "threads": conditions.num_threads,
        "runs": conditions.runs,
        "pictures": pictures,
        "python": platform.python_version(),
    }
    if conditions.video is not None:
        facts["video"] = f"{conditions.video}, at most {conditions.max_video_frames} frames"
    if conditions.records_dir is not None:
        facts["records"] = str(conditions.records_dir)
    return facts


def _write(
    folder: OutputFolder,
    results: Sequence[EngineResult],
    left_out: Sequence[str],
    facts: dict[str, Any],
) -> None:
    """Prints the table and writes all three files."""
    # Not at the top: matplotlib takes a second to import.
    from mobilenetdet.benchmark.engine_report import (
        draw_benchmark,
        legend,
        to_json,
        to_markdown,
        to_table,
    )

    print(f"\n{to_table(results)}\n\n{textwrap.fill(legend(results), _WIDTH)}")
    for each in left_out:
        print(f"left out: {each}")
    with folder.writing(JSON_FILE) as path:
        write_json(path, to_json(results, left_out, facts))
    with folder.writing(TABLE_FILE) as path:
        path.write_text(to_markdown(results, left_out, facts), encoding="utf-8")
    with folder.writing(PLOT_FILE) as path:
        draw_benchmark(results, path)
    print("\n" + "\n".join(str(folder.path / n) for n in (JSON_FILE, TABLE_FILE, PLOT_FILE)))
