"""onnxruntime-web, of one fixed version: out of the user's cache, a file, or npm's registry."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.deploy.export_plan import Report, no_report
from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.files.text import read_json, why_no_file
from mobilenetdet.runs import user_cache

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"
ADDRESS = f"https://registry.npmjs.org/{PACKAGE}/-/{ARCHIVE}"
# As `npm view onnxruntime-web@1.30.0 dist.integrity` has it.
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8p"
    "ZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
# The build without WebGPU. The script can be loaded from a file, unlike the modules beside it.
_SCRIPT, _GLUE, _WASM = (
    f"dist/{name}"
    for name in ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
)
_TIMEOUT_SECONDS = 60
# Three times what the archive has.
_MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class WebRuntime:
    """The parts of onnxruntime-web that a page needs.

    Attributes:
        script: defines `ort`.
        glue: module by which the script calls the machine code.
        wasm: the machine code.
    """

    script: bytes
    glue: bytes
    wasm: bytes


def find_web_runtime(
    path: Path | None = None, *, report: Report = no_report, address: str = ADDRESS
) -> WebRuntime:
    """Reads onnxruntime-web, which is downloaded once if no path is given.

    Args:
        path: the archive of npm's registry (`npm pack` makes it), or the folder of the package.
        report: is told that something is downloaded.
        address: of the archive.

    Raises:
        FileNotFoundError: there is nothing at the path, or the archive cannot be downloaded.
        ValueError: the archive is damaged or of another version, or the folder is none of it.
    """
    if path is None:
        path = _cached_archive(address, report)
    return _read_folder(path) if path.is_dir() else read_archive(path, integrity=INTEGRITY)


def read_archive(path: Path, *, integrity: str = INTEGRITY) -> WebRuntime:
    """Reads what a page needs out of the archive; nothing is unpacked.

    Args:
        path: of the archive.
        integrity: its checksum, as npm writes it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or another.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} {why_no_file(path)}; {_remedy()}")
    content = path.read_bytes()
    if (found := _integrity_of(content)) != integrity:
        raise ValueError(
            f"{path} is damaged, or not {ARCHIVE}: its checksum is {found[:19]}... instead of "
            f"{integrity[:19]}...; {_remedy()}"
        )
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            return WebRuntime(*(_member(archive, name) for name in (_SCRIPT, _GLUE, _WASM)))
    except (tarfile.TarError, EOFError, KeyError, OSError) as error:
        raise ValueError(f"{path} is no archive of {PACKAGE} ({error}); {_remedy()}") from None


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(f"package/{name}")
    if file is None:
        raise KeyError(f"{name} is no regular file in it")
    return file.read()


def _read_folder(folder: Path) -> WebRuntime:
    described = folder / "package.json"
    if not described.is_file():
        raise ValueError(f"{folder} is no folder of {PACKAGE}: no package.json; {_remedy()}")
    values = read_json(described, _remedy())
    named = (values.get("name"), values.get("version")) if isinstance(values, dict) else (None,)
    if named != (PACKAGE, VERSION):
        raise ValueError(
            f"{folder} is {' '.join(map(str, named))} and not {PACKAGE} {VERSION}; {_remedy()}"
        )
    for name in (_SCRIPT, _GLUE, _WASM):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} {why_no_file(folder / name)}; {_remedy()}")
    return WebRuntime(*((folder / name).read_bytes() for name in (_SCRIPT, _GLUE, _WASM)))


def _cached_archive(address: str, report: Report) -> Path:
    """The archive in the user's cache; a damaged one is downloaded again."""
    path = user_cache() / ARCHIVE
    if path.is_file() and _integrity_of(path.read_bytes()) == INTEGRITY:
        return path
    report(f"downloading {address} (33 MB), once")
    content = _download(address)
    if (found := _integrity_of(content)) != INTEGRITY:
        raise ValueError(
            f"what {address} gives is not {ARCHIVE}: its checksum is {found[:19]}... instead of "
            f"{INTEGRITY[:19]}..., so nothing of it is used; {_remedy()}"
        )
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return path


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer:
            return answer.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise FileNotFoundError(f"cannot download {address} ({error}); {_remedy()}") from None


def _integrity_of(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def _remedy() -> str:
    return (
        f"run npm pack {PACKAGE}@{VERSION} on a machine with a network and give the file: "
        f"--web_runtime {os.curdir}{os.sep}{ARCHIVE}"
    )
