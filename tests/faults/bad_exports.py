"""What exports, drafts for labelling tools, arrays of jobs, means and submissions are made of."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
from faults.bad_images import png
from faults.bad_weights import set_nan
from faults.user_folder import BadInput, UserFolder, bad

NAN, INF = float("nan"), float("inf")


def predictions(user: UserFolder, content: object = None, **changes) -> Path:
    """What predict has written of one picture, with changes."""
    found = {"class": "Car", "score": 0.9, "box_xyxy": [1, 2, 30, 40]}
    entry = {"source": "/in/a.png", "width": 200, "height": 100}
    for key, value in changes.items():
        (entry if key in entry else found)[key.rstrip("_")] = value
    text = json.dumps([entry | {"detections": [found]}]) if content is None else content
    return user.file("predictions/detections.json", text).parent


def draft(content: object = None, **changes) -> Callable:
    def make(user: UserFolder) -> list:
        folder = predictions(user, content, **changes)
        return ["export_annotations", folder, user.root / "draft.xml", "--format", "cvat"]

    return make


def draft_into(place: Callable[[UserFolder], object], *more: str) -> Callable:
    def make(user: UserFolder) -> list:
        argv = draft()(user)
        argv[2] = place(user)
        return [*argv, *more]

    return make


def device(user: UserFolder) -> Path:
    os.mkfifo(user.root / "draft.xml")
    return user.root / "draft.xml"


def share(content: object = None, **changes) -> Callable:
    """The result of a job with changes, beside the jobs of its array."""

    def make(user: UserFolder) -> list:
        values = {
            "share": [0, 2],
            "split": "val",
            "records": "ab",
            "measured": {},
            "seen": {"num_frames": 4, "frame_ids": [], "complete": True},
            "frames": [],
        }
        text = json.dumps(values | changes) if content is None else content
        folder = user.file("jobs/0-of-2/share.json", text).parent
        records = ("--data.records_dir", user.records)
        return [
            "eval",
            "--run_dir",
            user.run,
            "--output_dir",
            user.out,
            "--merge",
            folder,
            *records,
        ]

    return make


def seen(**changes) -> dict:
    return {"num_frames": 4, "frame_ids": [], "complete": True} | changes


def mean(*more: str, change: Callable[[UserFolder], object] = lambda user: None) -> Callable:
    """The mean of a run and its copy."""

    def make(user: UserFolder) -> list:
        shutil.copytree(user.run, user.root / "other")
        config = json.loads((user.run / "config.json").read_text())
        config["data"]["records_dir"] = str(user.records)
        user.file("other/config.json", json.dumps(config))
        change(user)
        runs = ["average_runs", "--run_dir", user.run, user.root / "other"]
        return [*runs, "--output_dir", user.out, *more]

    return make


def diverged(user: UserFolder) -> None:
    with h5py.File(user.root / "other/best.weights.h5", "r+") as file:
        set_nan(file)


def submission(
    *more: str, change: Callable[[UserFolder], object] = lambda user: None, output: str = "out.zip"
) -> Callable:
    def make(user: UserFolder) -> list:
        for index in range(2):
            user.file(f"kitti/testing/image_2/{index:06d}.png", png(64, 32))
        change(user)
        argv = ["kitti_submission", "--run_dir", user.run, "--kitti_root", user.root / "kitti"]
        return [*argv, "--output", user.root / output, "--num_frames", 2, *more]

    return make


def split_into(make_place: Callable[[UserFolder], Path]) -> Callable:
    return lambda user: [
        "kitti_split",
        "--kitti_root",
        user.kitti,
        "--output_dir",
        make_place(user),
    ]


def pipe_of_split(name: str) -> Callable:
    def make(user: UserFolder) -> Path:
        folder = user.file("lists/notes.txt", "mine").parent
        os.mkfifo(folder / name)
        return folder

    return make


def fit(*more: object) -> Callable:
    return lambda user: ["fit_anchors", "--label_dir", user.labels, "--num_shapes", 1, *more]


def same_file(user: UserFolder) -> list:
    both = user.root / "both.json"
    return fit("--plot", both, "--save_config", both)(user)


def export(user: UserFolder, *more: object) -> list:
    return ["export_labels", user.kitti, user.out, "--format", "coco", *more]


DRAFTS = [
    bad(
        "predictions cut off", draft('[{"source"'), "detections.json is damaged .*predict --format"
    ),
    bad("predictions that are a table", draft('{"a": 1}'), "does not hold predictions .*predict"),
    bad("predictions of nothing", draft("[]"), "holds no picture; write it with"),
    bad("a width without end", draft(width=INF), "does not hold predictions .*infinity"),
    bad("a width of 400 digits", draft(width=10**400), "does not hold predictions"),
    bad(
        "a side of NaN", draft(box_xyxy=[1, 2, NAN, 40]), r"hold predictions .*a box of \[1, 2, nan"
    ),
    bad("a side without end", draft(box_xyxy=[-INF, 2, INF, 40]), "hold predictions .*a box of"),
    bad("a box of text", draft(box_xyxy="1234"), "hold predictions .*a box of 1234"),
    bad("a score of NaN", draft(score=NAN), "hold predictions .*a score of nan"),
    bad(
        "a class that steers a terminal", draft(class_="a\x1b[2J"), "hold predictions .*is no name"
    ),
    bad("a class that is no text", draft(class_=5), "hold predictions .*'5' is no name"),
    bad("a class that XML cannot hold", draft(class_="a\ufffe"), "the class 'a.*XML has no place"),
    bad("a picture that XML cannot hold", draft(source="/in/a\x01.png"), "the picture .*no place"),
    bad(
        "a draft over the predictions",
        draft_into(lambda u: u.root / "predictions/detections.json"),
        "detections.json is there",
        "--overwrite",
    ),
    bad("a draft into a pipe", draft_into(device, "--overwrite"), "draft.xml is no regular file"),
    bad("a draft into a folder", draft_into(lambda u: u.root), "is a folder; name a file in it"),
]
JOBS = [
    bad("a job cut off", share('{"share"'), "share.json is damaged .*run this job again"),
    bad("a job that is a list", share("[]"), "share.json is damaged .*run this job again"),
    bad("a job of brackets", share("[" * 100_000), "share.json is damaged .*run this job again"),
    bad("a job of a trillion", share(share=[0, 10**12]), "1-of-1000000000000 is missing"),
    bad("a job below 0", share(share=[-1, 2]), "shard is -1; of 2 they go from 0 to 1"),
    bad("a job without end", share(share=[0, INF]), "share.json is damaged .*run this job again"),
    bad("frames without end", share(seen=seen(num_frames=INF)), "share.json is damaged .*again"),
    bad("frames seen that are none", share(seen=seen(frame_ids=[{}])), "share.json is damaged"),
    bad(
        "a frame seen of a terminal", share(seen=seen(frame_ids=["\x1b[2J"])), "holds a control ch"
    ),
    bad(
        "a frame that is a number", share(frames=[1]), "share.json is damaged .*run this job again"
    ),
    bad("a frame that is a path", share(frames=["../../a"]), "share.json is damaged .*no frame id"),
    bad(
        "a split that is a path", share(split="../a"), "share.json is damaged .*no name of a split"
    ),
]
MEANS = [
    bad("a share of NaN", mean("--shares", "1", "nan"), "shares are 1 nan; .*needs one above 0"),
    bad("a share without end", mean("--shares", "1", "inf"), "shares are 1 inf; .*above 0"),
    bad("a share below 0", mean("--shares", "-1", "2"), "shares are -1 2; .*above 0"),
    bad("a mean in the place of a run", lambda u: [*mean()(u)[:-1], u.run], "is one of the runs"),
    bad(
        "a mean without records",
        mean(change=lambda u: shutil.rmtree(u.records)),
        "no records of val in .*tf_convert_data",
    ),
    bad(
        "a mean with weights that are NaN",
        mean(change=diverged),
        r"other.best\.weights\.h5: .* holds NaN or infinity, so these weights are of no use",
    ),
]
SUBMISSIONS = [
    bad(
        "a submission of 2,000,000,000",
        submission("--num_frames", "2000000000"),
        "must be 1 to 7,5",
    ),
    bad("a submission of none", submission("--num_frames", "0"), "must be 1 to 7,518"),
    bad("no zip", submission(output="out.tar"), "out.tar; the server takes a .zip"),
    bad("results for images", submission(output="kitti/testing/image_2.zip"), "among the images"),
    bad("a zip among images", submission(output="kitti/testing/image_2/a.zip"), "among the images"),
    bad(
        "a result of the user",
        submission(change=lambda u: u.file("out/000001.txt", "mine")),
        "000001.txt is there",
        "--overwrite",
    ),
    bad(
        "a zip of the user",
        submission(change=lambda u: u.file("out.zip", "mine")),
        "out.zip is there",
        "--overwrite",
    ),
    bad(
        "a picture that is none",
        submission(change=lambda u: u.file("kitti/testing/image_2/000001.png", "<html>")),
        "000001.png: cannot be decoded",
        writes=("out",),
    ),
]
SPLITS = [
    bad(
        "a list that is a pipe", split_into(pipe_of_split("train.txt")), "train.txt was not written"
    ),
    bad(
        "hashes in a pipe",
        split_into(pipe_of_split("kitti_split.json")),
        "kitti_split.json was not written by this command",
    ),
    bad(
        "hashes of the user",
        split_into(lambda u: u.file("lists/kitti_split.json", "mine").parent),
        "kitti_split.json was not written by this command",
        "--overwrite",
    ),
    bad("lists among labels", split_into(lambda u: u.labels), "holds the labels, .*another folder"),
    bad("lists in a file", split_into(lambda u: u.file("mine", "mine")), "mine is a file"),
    bad("a picture and a config in one", same_file, "both .*both.json; name two files"),
    bad(
        "a network below 0", fit("--image_width", "-5", "--image_height", "-5"), "image_width is -5"
    ),
    bad("frames of no width", fit("--frame_width", "0"), "frame_width is 0; it must be above 0"),
    bad("a seed below 0", fit("--seed", "-1"), "seed is -1; it must be 0 or more"),
    bad(
        "lists that are not there",
        lambda u: export(u, "--split", "test"),
        "test.txt does not exist",
    ),
    bad("a list that is a path", lambda u: export(u, "--split", "../a"), "is no name of a split"),
    bad(
        "results of no picture",
        lambda u: [
            *("export_labels", u.results(), u.out, "--format", "coco", "--coco_file"),
            u.file("a.json", '{"images": [], "categories": []}'),
        ],
        "no result file is of an image of .*a.json",
    ),
]

CASES: dict[str, list[BadInput]] = {
    "drafts": DRAFTS,
    "jobs of an array": JOBS,
    "means of weights": MEANS,
    "submissions": SUBMISSIONS,
    "splits, anchors, exports": SPLITS,
}
