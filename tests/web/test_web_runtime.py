"""onnxruntime-web: found, downloaded once, and refused where it is not what was pinned."""

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from mobilenetdet.web import web_runtime
from mobilenetdet.web.web_runtime import (
    ARCHIVE,
    INTEGRITY,
    PACKAGE,
    VERSION,
    WebRuntime,
    find_web_runtime,
    read_archive,
)

PARTS = {
    "dist/ort.wasm.min.js": b"var ort;",
    "dist/ort-wasm-simd-threaded.mjs": b"export default 1;",
    "dist/ort-wasm-simd-threaded.wasm": b"\0asm",
}
MADE_UP = WebRuntime(*PARTS.values())


def archive_of(parts: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in parts.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def integrity_of(content: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


@pytest.fixture
def pinned(monkeypatch, tmp_path: Path) -> Path:
    """A made-up archive that stands for the pinned one; the user's cache is empty."""
    path = tmp_path / "given.tgz"
    path.write_bytes(archive_of(PARTS))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(web_runtime, "INTEGRITY", integrity_of(path.read_bytes()))
    return path


def package_folder(folder: Path, *, version: str = VERSION, parts=PARTS) -> Path:
    for name, content in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "package.json").write_text(json.dumps({"name": PACKAGE, "version": version}))
    return folder


def test_it_is_downloaded_once_and_kept_in_the_cache(pinned: Path, tmp_path: Path):
    told: list[str] = []
    address = pinned.as_uri()
    assert find_web_runtime(report=told.append, address=address) == MADE_UP
    assert told == [f"downloading {address} (33 MB), once"]
    kept = tmp_path / "cache/mobilenetdet" / ARCHIVE
    assert kept.read_bytes() == pinned.read_bytes()
    pinned.unlink()
    assert find_web_runtime(report=told.append, address=address) == MADE_UP
    assert len(told) == 1


def test_a_damaged_one_in_the_cache_is_downloaded_again(pinned: Path, tmp_path: Path):
    kept = tmp_path / "cache/mobilenetdet" / ARCHIVE
    kept.parent.mkdir(parents=True)
    kept.write_bytes(pinned.read_bytes()[:-1])
    assert find_web_runtime(address=pinned.as_uri()) == MADE_UP
    assert kept.read_bytes() == pinned.read_bytes()


def test_without_network_the_remedy_is_named(pinned: Path, tmp_path: Path):
    gone = (tmp_path / "nowhere.tgz").as_uri()
    with pytest.raises(FileNotFoundError, match=r"cannot download .*npm pack.*--web_runtime"):
        find_web_runtime(address=gone)
    assert not list((tmp_path / "cache").rglob("*.tgz"))


def test_what_is_downloaded_is_checked_and_not_kept(pinned: Path, tmp_path: Path):
    pinned.write_bytes(archive_of(PARTS | {"dist/ort.wasm.min.js": b"steal();"}))
    with pytest.raises(ValueError, match="checksum is .* so nothing of it is used"):
        find_web_runtime(address=pinned.as_uri())
    assert not list((tmp_path / "cache").rglob("*.tgz"))


def test_an_archive_or_a_folder_may_be_given(pinned: Path, tmp_path: Path):
    assert read_archive(pinned, integrity=web_runtime.INTEGRITY) == MADE_UP
    assert find_web_runtime(package_folder(tmp_path / "package")) == MADE_UP


@pytest.mark.parametrize(
    ("content", "pinned_too", "words"),
    [
        (b"", False, "given.tgz is damaged, or not onnxruntime-web-1.30.0.tgz: its checksum is"),
        (archive_of(PARTS)[:-9], False, "is damaged, or not"),
        (archive_of(PARTS)[:60], True, "given.tgz is no archive of onnxruntime-web"),
        (archive_of({"package.json": b"{}"}), True, "no archive of .*ort.wasm.min.js"),
    ],
    ids=["empty", "cut off", "pinned and cut off", "without the runtime"],
)
def test_damaged_archives_are_refused(tmp_path: Path, content, pinned_too, words):
    path = tmp_path / "given.tgz"
    path.write_bytes(content)
    integrity = integrity_of(content) if pinned_too else INTEGRITY
    with pytest.raises(ValueError, match=f"{words}.*--web_runtime"):
        read_archive(path, integrity=integrity)


def test_what_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="gone.tgz does not exist; run npm pack"):
        find_web_runtime(tmp_path / "gone.tgz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no folder of onnxruntime-web: no package.json"):
        find_web_runtime(tmp_path / "empty")
    other = package_folder(tmp_path / "other", version="1.19.2")
    with pytest.raises(ValueError, match="is onnxruntime-web 1.19.2 and not onnxruntime-web 1.30"):
        find_web_runtime(other)
    (other / "package.json").write_text("[]")
    with pytest.raises(ValueError, match="and not onnxruntime-web"):
        find_web_runtime(other)
    part = package_folder(tmp_path / "part", parts={"dist/ort.wasm.min.js": b""})
    with pytest.raises(FileNotFoundError, match=r"threaded.mjs does not exist"):
        find_web_runtime(part)
