"""The folder of a page: whole or not at all, and nothing in it that a name could break."""

import base64
import gzip
import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from mobilenetdet.drawing.class_colours import overlay_colours
from mobilenetdet.drawing.tags import ink_on
from mobilenetdet.exported_info import ExportedInfo
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.web.web_page import page_config, page_files, write_web_page
from mobilenetdet.web.web_runtime import WebRuntime

RUNTIME = WebRuntime(b"var ort = {};", b"export default 1;", b"\0asm")
INFO = ExportedInfo(
    parts="detector",
    precision="float32",
    image_size=(64, 96),
    classes=("Car", "Tram"),
    letterbox_grey=127,
    scores_from="sigmoid",
    anchor_levels=(),
    drawing_scores={"Car": 0.25, "Tram": 0.5},
    config={},
    source="small",
    version="0.1",
)
# Each ends a script or a tag where it is not escaped.
HOSTILE = ('</script><img src=x onerror="alert(1)">', 'Bob\'s "van"', "<!--", "Žluťoučký\u2028kůň")


def value_of(script: Path) -> dict:
    """What a generated script defines, read as JSON."""
    match = re.fullmatch(r'"use strict";\nconst [A-Z]+ = (.*);\n', script.read_text(), re.DOTALL)
    return json.loads(match[1])


def content(packed: str) -> bytes:
    return gzip.decompress(base64.b64decode(packed))


def test_a_page_holds_all_that_it_needs(tmp_path: Path):
    page = write_web_page(OutputFolder(tmp_path), b"network", INFO, RUNTIME)
    assert page == tmp_path / "web_float32"
    assert {path.name for path in page.iterdir()} == set(page_files())
    assert content(value_of(page / "model.js")["network"]) == b"network"
    runtime = {name: content(text) for name, text in value_of(page / "runtime.js").items()}
    assert (runtime["glue"], runtime["wasm"]) == (RUNTIME.glue, RUNTIME.wasm)
    assert runtime["worker"].startswith(RUNTIME.script)
    assert b"function letterbox(" in runtime["worker"] and b"self.onmessage" in runtime["worker"]
    assert "MIT License" in (page / "LICENSE-onnxruntime.txt").read_text()


def test_index_names_only_files_of_the_folder():
    text = (files("mobilenetdet.web") / "page/index.html").read_text()
    named = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', text)
    assert named and set(named) <= set(page_files())
    assert "connect-src 'none'" in text and "http:" not in text and "https:" not in text


def test_classes_have_the_colours_and_scores_of_overlays():
    config = page_config(INFO, 2.06)
    colours = overlay_colours(INFO.classes)
    assert config["classes"] == [
        {"name": name, "colour": colours[name], "ink": ink_on(colours[name]), "score": score}
        for name, score in (("Car", 0.25), ("Tram", 0.5))
    ]
    assert (config["height"], config["width"], config["grey"]) == (64, 96, 127)
    assert (config["megabytes"], config["source"]) == (2.1, "small")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_end_no_script(tmp_path: Path, name):
    info = replace(INFO, classes=(name,), drawing_scores={name: 0.3}, source=name)
    page = write_web_page(OutputFolder(tmp_path), b"", info, RUNTIME)
    text = (page / "config.js").read_text(encoding="ascii")
    assert "<" not in text and ">" not in text
    assert value_of(page / "config.js")["classes"][0]["name"] == name
    as_shipped = files("mobilenetdet.web") / "page/index.html"
    assert (page / "index.html").read_bytes() == as_shipped.read_bytes()


def test_the_same_page_has_the_same_bytes_and_replaces_itself(tmp_path: Path):
    pages = [
        {
            path.name: path.read_bytes()
            for path in write_web_page(OutputFolder(tmp_path), b"n", INFO, RUNTIME).iterdir()
        }
        for _ in range(2)
    ]
    assert pages[0] == pages[1]
    write_web_page(OutputFolder(tmp_path), b"other", INFO, RUNTIME)
    assert content(value_of(tmp_path / "web_float32/model.js")["network"]) == b"other"


def test_a_file_of_another_is_in_the_way(tmp_path: Path):
    (tmp_path / "web_float32").mkdir()
    mine = tmp_path / "web_float32/app.js"
    mine.write_text("mine")
    with pytest.raises(FileExistsError, match=r"app.js is there, .*--overwrite"):
        write_web_page(OutputFolder(tmp_path), b"", INFO, RUNTIME)
    assert [path.name for path in (tmp_path / "web_float32").iterdir()] == ["app.js"]
    (tmp_path / "web_float32/notes.txt").write_text("of a user")
    write_web_page(OutputFolder(tmp_path, overwrite=True), b"", INFO, RUNTIME)
    assert mine.read_text() != "mine"
    assert (tmp_path / "web_float32/notes.txt").read_text() == "of a user"


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch):
    def fails(content, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mobilenetdet.web.web_page.gzip.compress", fails)
    with pytest.raises(OSError, match="No space"):
        write_web_page(OutputFolder(tmp_path), b"", INFO, RUNTIME)
    assert not (tmp_path / "web_float32").exists()


def test_a_network_has_no_page(tmp_path: Path):
    with pytest.raises(ValueError, match="a network gives none; export a detector"):
        write_web_page(OutputFolder(tmp_path), b"", replace(INFO, parts="network"), RUNTIME)
