"""What a page in the browser is made of: onnxruntime-web, a run, a place."""

import json
import shutil
from collections.abc import Callable

from faults.user_folder import BadInput, UserFolder, bad
from fixtures.web_package import PARTS, write_web_package

from mobilenetdet.web.web_runtime import PACKAGE, VERSION

NPM = "run npm pack onnxruntime-web@.*--web_runtime"


def page(
    *more: object, change: Callable[[UserFolder], object] = lambda user: None, format: str = "web"
) -> Callable:
    """An export of a page, with a change to the files that it is made of."""

    def make(user: UserFolder) -> list:
        package = write_web_package(user.root / "package")
        change(user)
        argv = ["export", "--run_dir", user.run, "--format", format, "--output_dir", user.out]
        return [*argv, "--web_runtime", package, *more]

    return make


def described(content: object) -> Callable:
    """Another package.json."""
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return page(change=lambda user: user.file("package/package.json", text))


def archive(content: bytes | str) -> Callable:
    """A file instead of the folder."""

    def make(user: UserFolder) -> list:
        argv = page()(user)
        return [*argv[:-1], user.file("ort.tgz", content)]

    return make


def without(name: str) -> Callable:
    return page(change=lambda user: (user.root / "package" / name).unlink())


def taken(name: str) -> Callable:
    return page(change=lambda user: user.file(f"out/web_float32/{name}", "mine"))


def mine(user: UserFolder) -> None:
    user.file("out", "mine")


def classifier(user: UserFolder) -> list:
    argv = page()(user)
    folder = user.file("classifier/config.json", '{"data": {"dataset": "cifar10"}}').parent
    argv[2] = folder
    return argv


PAGES: list[BadInput] = [
    bad("a runtime that is gone", page(change=lambda u: shutil.rmtree(u.root / "package")), NPM),
    bad("an archive of text", archive("<html>"), "ort.tgz is damaged, or not .*checksum is", NPM),
    bad("an empty archive", archive(b""), "ort.tgz is damaged, or not onnxruntime-web", NPM),
    bad("a folder without description", without("package.json"), "no package.json", NPM),
    bad("a description cut off", described('{"name":'), "package.json is damaged", NPM),
    bad("a description that is a list", described([PACKAGE]), "is None and not onnxr", NPM),
    bad("a description of bytes", described(b"\xe9"), "package.json:1: byte 0xe9 is no UTF-8"),
    bad("another version", described({"name": PACKAGE, "version": "0.1"}), "0.1 and not .*", NPM),
    bad("another package", described({"name": "left-pad", "version": VERSION}), "left-pad", NPM),
    *(bad(f"a package without {name}", without(f"dist/{name}"), name, NPM) for name in PARTS),
    bad("a page of the user", taken("index.html"), "index.html is there", "--overwrite"),
    bad("a network of the user", taken("model.js"), "model.js is there", "--overwrite"),
    bad("a place that is a file", page(change=mine), "out is a file|out.* not a directory"),
    bad("a page of raw predictions", page("--parts", "network"), "web shows boxes.*drop --parts"),
    bad("a page of a classifier", classifier, "classifier is a classifier; --format web shows"),
    bad("a runtime for no page", page(format="litert"), "web_runtime has no effect without"),
    bad("a page of 10x10", page("--image_size", "10x10"), "10.*32"),
    bad("a page of no size", page("--image_size", "big"), "image_size is 'big'; give height and"),
    bad(
        "a page without calibration",
        page("--precision", "int8", "--records_dir", "nowhere"),
        "records of train|calibrat",
    ),
]

CASES: dict[str, list[BadInput]] = {"pages": PAGES}
