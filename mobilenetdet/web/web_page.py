"""A detector as a folder of static files: a page that runs it in the browser, without a server.

Opened from a disk, a page may load classic scripts and nothing else: no module, no file by fetch.
So the network, onnxruntime-web and the code of the worker stand in scripts, packed and as text.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from mobilenetdet.deploy.export import export_detector
from mobilenetdet.deploy.export_plan import ExportPlan, Precision, Report, file_names, no_report
from mobilenetdet.drawing.box_style import THICK
from mobilenetdet.drawing.class_colours import overlay_colours
from mobilenetdet.drawing.tags import ink_on
from mobilenetdet.exported_info import ExportedInfo
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.web.web_runtime import PACKAGE, VERSION, WebRuntime

# Copied as they are.
_STATIC = ("index.html", "style.css", "draw.js", "app.js", "README.txt", "LICENSE-onnxruntime.txt")
# What runs in the worker, after onnxruntime-web.
_WORKER = ("letterbox.js", "worker.js")


def export_web_pages(
    model: LoadedDetector,
    output_dir: str | os.PathLike[str],
    plan: ExportPlan,
    runtime: WebRuntime,
    *,
    overwrite: bool = False,
    report: Report = no_report,
) -> list[Path]:
    """Writes a page for each precision, as DIR/web_{precision}/index.html and what it needs.

    Args:
        model: of a run or of weights that ship.
        output_dir: DIR; files of others there stay.
        plan: precisions, size of the input and pictures for int8; its formats do not matter.
        runtime: see `find_web_runtime`.
        overwrite: replaces files of others of the same names.
        report: is told each page before it is written.

    Returns:
        The folders of the pages.

    Raises:
        FileExistsError: a file of another is in the way.
        FileNotFoundError: int8 has no pictures to calibrate with.
        ValueError: see `export_detector`.
    """
    folder = OutputFolder(output_dir, overwrite=overwrite)
    folder.refuse_foreign(
        f"{page_name(precision)}/{name}" for precision in plan.precisions for name in page_files()
    )
    plan = replace(plan, formats=("onnx",), parts=("detector",))
    written = []
    with tempfile.TemporaryDirectory() as temporary, folder.locked():
        *networks, described = export_detector(model, temporary, plan, report=report)
        info = ExportedInfo.from_json(described.read_text(encoding="utf-8"), str(described))
        for precision in plan.precisions:
            (name,) = file_names("onnx", precision, "detector")
            network = next(path for path in networks if path.name == name)
            report(f"writing {page_name(precision)}")
            of_page = replace(info, parts="detector", precision=precision)
            written.append(write_web_page(folder, network.read_bytes(), of_page, runtime))
    return written


def write_web_page(
    folder: OutputFolder, network: bytes, info: ExportedInfo, runtime: WebRuntime
) -> Path:
    """Writes the page of one exported detector, whole or not at all.

    Args:
        folder: where its folder goes.
        network: an .onnx file whose parts are "detector".
        info: what it is.
        runtime: what runs it.

    Returns:
        The folder of the page.

    Raises:
        FileExistsError: a file of another is in the way.
        ValueError: the file ends at the raw predictions.
    """
    if info.parts != "detector":
        raise ValueError(f"the page shows boxes, and a {info.parts} gives none; export a detector")
    name = page_name(info.precision)
    worker = b"\n".join([runtime.script, *map(_page_file, _WORKER)])
    packed = {
        "runtime.js": ("RUNTIME", {"glue": runtime.glue, "wasm": runtime.wasm, "worker": worker}),
        "model.js": ("MODEL", {"network": network}),
    }
    with folder.replacing(f"{name}/*") as staging:
        page = staging / name
        page.mkdir()
        for static in _STATIC:
            (page / static).write_bytes(_page_file(static))
        config = _script("PAGE", page_config(info, len(network) / 1e6))
        (page / "config.js").write_text(config, encoding="utf-8")
        for script, (variable, parts) in packed.items():
            texts = {part: _packed(content) for part, content in parts.items()}
            (page / script).write_text(_script(variable, texts), encoding="utf-8")
    return folder.path / name


def page_name(precision: Precision | str) -> str:
    """Returns the name of the folder of a page."""
    return f"web_{precision}"


def page_files() -> Sequence[str]:
    """Returns the names of the files of a page."""
    return (*_STATIC, "config.js", "runtime.js", "model.js")


def page_config(info: ExportedInfo, megabytes: float) -> dict[str, Any]:
    """Returns what the page has to know: classes with colours and scores, input, what runs.

    Args:
        info: of the detector.
        megabytes: size of the network, millions of bytes.
    """
    colours = overlay_colours(info.classes)
    height, width = info.image_size
    return {
        "classes": [
            {
                "name": name,
                "colour": colours[name],
                "ink": ink_on(colours[name]),
                "score": info.drawing_scores[name],
            }
            for name in info.classes
        ],
        "height": height,
        "width": width,
        "grey": info.letterbox_grey,
        "line_width": THICK,
        "precision": info.precision,
        "megabytes": round(megabytes, 1),
        "source": info.source,
        "version": info.version,
        "engine": f"{PACKAGE} {VERSION}",
    }


def _script(variable: str, value: Any) -> str:
    """A classic script that defines a variable.

    No text of a user ends it or its page: JSON in ASCII, and no < that could begin a tag.
    """
    text = json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e")
    return f'"use strict";\nconst {variable} = {text};\n'


def _packed(content: bytes) -> str:
    # The time of day is left out: the same page has the same bytes.
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _page_file(name: str) -> bytes:
    return (files("mobilenetdet.web") / "page" / name).read_bytes()
