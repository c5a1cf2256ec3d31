"""KITTI's folders: frames, labels, calibration and the lists of frames.

ROOT/training/image_2/000000.png (or .jpg, .jpeg, in either case)
ROOT/training/label_2/000000.txt
ROOT/training/calib/000000.txt
ROOT/ImageSets/train.txt
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.files.names import check_file_name, check_split_name
from mobilenetdet.files.text import read_text
from mobilenetdet.kitti.format_hints import CLASS_LISTS, id_hint

# Where a frame has several images, the first of these is taken.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")
_DOWNLOAD_PAGE = "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=2d"


@dataclass(frozen=True)
class FrameReport:
    """What `KittiLayout.check_frames` found.

    Attributes:
        complete: frames with an image and a label.
        missing_labels: frames with an image and no label.
        missing_images: frames with a label and no image.
        missing_both: frames that were asked for and have neither.
    """

    complete: list[str]
    missing_labels: list[str]
    missing_images: list[str]
    missing_both: list[str]

    def with_empty_labels(self, order: Sequence[str]) -> FrameReport:
        """Returns the report in which an image without label is complete: nothing is in it.

        Args:
            order: the frames that were asked for, in their order.
        """
        complete = {*self.complete, *self.missing_labels}
        kept = [frame_id for frame_id in order if frame_id in complete]
        return FrameReport(kept, [], self.missing_images, self.missing_both)

    @property
    def num_incomplete(self) -> int:
        """The number of frames that lack something."""
        return len(self.missing_labels) + len(self.missing_images) + len(self.missing_both)

    def lines(self, limit: int | None = None) -> list[str]:
        """Returns one line per incomplete frame, the first `limit` of them and a count of the rest.

        Example:
            `FrameReport(["000000"], ["000001"], [], []).lines()` is `["000001: no label"]`.
        """
        found = {frame_id: "no label" for frame_id in self.missing_labels}
        found |= {
            frame_id: "no image" + (" (a list of class names?)" if frame_id in CLASS_LISTS else "")
            for frame_id in self.missing_images
        }
        found |= {frame_id: "no image, no label" for frame_id in self.missing_both}
        lines = [f"{frame_id}: {what}" for frame_id, what in sorted(found.items())]
        if limit is None or len(lines) <= limit:
            return lines
        return [*lines[:limit], f"and {len(lines) - limit} more"]


@dataclass(frozen=True)
class KittiLayout:
    """The files of one subset of a KITTI folder.

    Attributes:
        root: the folder that holds `training/` and `ImageSets/`.
        subset: `training` or `testing`.
        split_dir: the folder of the lists of frames; None is `ImageSets` in the root.
    """

    root: Path
    subset: str = "training"
    split_dir: Path | None = None

    def __post_init__(self) -> None:
        """Takes folders given as text, too."""
        object.__setattr__(self, "root", Path(self.root))
        if self.split_dir is not None:
            object.__setattr__(self, "split_dir", Path(self.split_dir))

    @property
    def image_set_dir(self) -> Path:
        """The folder of the lists of frames."""
        return self.split_dir or self.root / "ImageSets"

    @property
    def image_dir(self) -> Path:
        """The folder of the left colour camera's frames."""
        return self.root / self.subset / "image_2"

    @property
    def label_dir(self) -> Path:
        """The folder of the label files."""
        return self.root / self.subset / "label_2"

    def image_path(self, frame_id: str) -> Path:
        """Returns the frame's image file.

        Raises:
            FileNotFoundError: there is neither a .png nor a .jpg.
        """
        return find_image(self.image_dir, frame_id)

    def label_path(self, frame_id: str) -> Path:
        """Returns where the frame's label file is or would be."""
        return self.label_dir / f"{frame_id}.txt"

    def calib_path(self, frame_id: str) -> Path:
        """Returns where the frame's calibration file is or would be."""
        return self.root / self.subset / "calib" / f"{frame_id}.txt"

    def image_set_path(self, name: str) -> Path:
        """Returns where the list of frames `name` (train, val, trainval) is or would be.

        Raises:
            ValueError: the name would be a path; see `check_split_name`.
        """
        return self.image_set_dir / f"{check_split_name(name, str(self.image_set_dir))}.txt"

    def frame_ids(self) -> list[str]:
        """Returns the sorted ids of the frames that have an image.

        Raises:
            FileNotFoundError: the image folder is absent or holds no frame.
        """
        frame_ids = _stems(self.image_dir, IMAGE_SUFFIXES)
        if not frame_ids:
            state = (
                "holds no .png, .jpg or .jpeg frame"
                if self.image_dir.is_dir()
                else "does not exist"
            )
            raise FileNotFoundError(
                f"{self.image_dir} {state}; unpack KITTI's left colour images "
                f"(data_object_image_2.zip, {_DOWNLOAD_PAGE}) and labels (data_object_label_2.zip) "
                f"into {self.root}, or name another folder as the KITTI root"
            )
        return sorted(frame_ids)

    def read_image_set(self, name: str) -> list[str]:
        """Returns the frame ids of the list NAME.txt in the order of the file.

        Raises:
            FileNotFoundError: there is no such list.
            ValueError: the name would be a path, a line is not one frame id, or a frame is listed
                twice.
        """
        path = self.image_set_path(name)
        if not path.is_file():
            place = f" --output_dir {self.split_dir}" if self.split_dir is not None else ""
            raise FileNotFoundError(
                f"{path} does not exist; write it with "
                f"`python tools/kitti_split.py --kitti_root {self.root}{place}`"
            )
        return parse_frame_ids(read_text(path, "list of frames"), str(path))

    def write_image_set(self, name: str, frame_ids: Sequence[str]) -> None:
        """Writes the list NAME.txt, one frame id a line; never leaves a part of a file."""
        path = self.image_set_path(name)
        text = "".join(f"{frame_id}\n" for frame_id in frame_ids)
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")

    def check_frames(self, frame_ids: Iterable[str] | None = None) -> FrameReport:
        """Returns which frames have an image and a label, and what the others lack.

        Args:
            frame_ids: the frames to look for; None looks at every image and every label.
        """
        images = _stems(self.image_dir, IMAGE_SUFFIXES)
        labels = _stems(self.label_dir, (".txt",))
        wanted = sorted(images | labels) if frame_ids is None else list(frame_ids)
        return FrameReport(
            complete=[i for i in wanted if i in images and i in labels],
            missing_labels=[i for i in wanted if i in images and i not in labels],
            missing_images=[i for i in wanted if i not in images and i in labels],
            missing_both=[i for i in wanted if i not in images and i not in labels],
        )


def image_names(frame_id: str) -> list[str]:
    """Returns the file names that the image of a frame may have, the preferred first."""
    return [f"{frame_id}{suffix}" for suffix in IMAGE_SUFFIXES]


def find_image(image_dir: Path, frame_id: str) -> Path:
    """Returns the image file of a frame.

    Raises:
        FileNotFoundError: there is neither a .png nor a .jpg.
    """
    for path in (image_dir / name for name in image_names(frame_id)):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"frame {frame_id} has no image: neither {image_dir / frame_id}.png nor .jpg or .jpeg"
    )


def check_frame_id(frame_id: str, source: str) -> str:
    """Returns a frame id out of a list or a record, which names files, if it is safe as a name.

    Args:
        frame_id: the id.
        source: where it stands, for the message.

    Raises:
        ValueError: it is not safe; see `check_file_name`.
    """
    return check_file_name(frame_id, source, "frame id")


def parse_frame_ids(text: str, source: str) -> list[str]:
    """Returns the frame ids of a list with one id a line; blank lines are passed over.

    Raises:
        ValueError: a line is not one frame id, or a frame is listed twice; names source:line.
    """
    lines_of: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) > 1:
            raise ValueError(
                f"{source}:{number}: {line!r} is not one frame id; one stands on a line, without "
                "spaces: rename files that have some"
            )
        if hint := id_hint(words[0]):
            raise ValueError(f"{source}:{number}: {words[0]!r} is no frame id; {hint}")
        if words[0] in lines_of:
            raise ValueError(
                f"{source}:{number}: frame {words[0]} is already on line {lines_of[words[0]]}; "
                "a frame may be listed once"
            )
        lines_of[check_frame_id(words[0], f"{source}:{number}")] = number
    return list(lines_of)


def _stems(folder: Path, suffixes: tuple[str, ...]) -> set[str]:
    if not folder.is_dir():
        return set()
    # A name that starts with a dot is a file of the system (macOS' ._000000.png) or half-written.
    names = (name for name in os.listdir(folder) if not name.startswith("."))
    return {name[: name.rindex(".")] for name in names if name.endswith(suffixes)}
