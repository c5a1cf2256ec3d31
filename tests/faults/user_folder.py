"""A user's folder with everything a command can be given, and what a bad input has to end with."""

import dataclasses
import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mobilenetdet.cli.main import run

CAR = "Car 0.00 0 -1.50 {} 14.00 70.00 44.00 1.50 1.60 3.90 1.00 1.50 20.00 -1.50\n"
RESULT = "Car -1 -1 -10 {} 14.00 70.00 44.00 -1 -1 -1 -1000 -1000 -1000 -10 {}\n"


@dataclass
class UserFolder:
    """Copies of small data sets, runs and files, made when a case asks for them.

    Attributes:
        root: the folder.
        template: where copies come from, by name.
    """

    root: Path
    template: Callable[[str], Path]

    def _copy(self, name: str) -> Path:
        path = self.root / name
        if not path.exists():
            shutil.copytree(self.template(name), path)
        return path

    @property
    def kitti(self) -> Path:
        """A KITTI root of 12 frames with ImageSets and tfrecord/{train,val}."""
        return self._copy("kitti")

    @property
    def records(self) -> Path:
        return self.kitti / "tfrecord"

    @property
    def labels(self) -> Path:
        return self.kitti / "training/label_2"

    @property
    def images(self) -> Path:
        return self.kitti / "training/image_2"

    @property
    def run(self) -> Path:
        """A run directory after its first epoch, measured."""
        return self._copy("run")

    @property
    def classes(self) -> Path:
        """A root of class folders and their records in tfrecord/."""
        return self._copy("classes")

    @property
    def out(self) -> Path:
        """Where commands are told to write; is not there."""
        return self.root / "out"

    def results(self) -> Path:
        """Result files of all 12 frames."""
        folder = self.root / "results"
        folder.mkdir(exist_ok=True)
        for index in range(12):
            (folder / f"{index:06d}.txt").write_text(RESULT.format(20 + index, 0.05 * index))
        return folder

    def file(self, name: str, content: bytes | str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


Make = Callable[[UserFolder], list]


@dataclass(frozen=True)
class BadInput:
    """One kind of bad input.

    Attributes:
        kind: what is bad.
        make: makes it in the folder, and returns the command line.
        says: regular expressions that the message has to match: the file or option, the value, the
            remedy.
        code: exit code: 2 for an error; 0 and 1 where the command goes on and says so.
        writes: names in the folder that the command may write to.
    """

    kind: str
    make: Make = field(repr=False)
    says: tuple[str, ...]
    code: int = 2
    writes: tuple[str, ...] = ()


def bad(kind: str, make: Make, *says: str, code: int = 2, writes: tuple[str, ...] = ()) -> BadInput:
    """Describes a kind of bad input; see `BadInput`."""
    return BadInput(kind, make, says, code, writes)


def converting(cases: Sequence[BadInput]) -> list[BadInput]:
    """Cases of tf_convert_data: shards that are done stay, for the corrected command."""
    return [dataclasses.replace(case, writes=("out",)) for case in cases]


def snapshot(root: Path, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Everything in a folder, by name: hashes of files, targets of links."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] in without:
            continue
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        else:
            content = path.read_bytes() if path.is_file() else b"a folder"
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def exit_code(argv: list) -> int:
    """Runs a command in this process."""
    try:
        run(str(argv[0]), [str(word) for word in argv[1:]])
    except SystemExit as end:
        return end.code or 0


def check(case: BadInput, user: UserFolder, capture) -> None:
    """Holds that a case ends as it should, and that no file has changed."""
    argv = case.make(user)
    before = snapshot(user.root, case.writes)
    capture.readouterr()
    code = exit_code(argv)
    out, err = capture.readouterr()
    told = out + err
    assert code == case.code, told
    assert "Traceback" not in told and "fault of mobilenetdet" not in told, told
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    boxed = "╭─" in err  # tyro, which parses options, puts frames around its messages
    assert len(errors) + boxed == (code == 2), told
    words = re.sub(r"[\s│]+", " ", told)
    for pattern in case.says:
        assert re.search(pattern, words), f"{pattern!r} is not in: {told}"
    assert snapshot(user.root, case.writes) == before
