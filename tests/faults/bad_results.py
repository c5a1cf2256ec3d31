"""Result files, what is asked of them, and splits."""

from collections.abc import Callable

from faults.user_folder import CAR, RESULT, UserFolder, bad


def scored(user: UserFolder, *more) -> list:
    folders = ["--label_dir", user.labels, "--result_dir", user.results()]
    return ["kitti_eval", *folders, "--json", user.out / "ap.json", *more]


def bad_result(content: bytes | str) -> Callable:
    """Scores results of which one holds something else."""

    def make(user: UserFolder) -> list:
        argv = scored(user)
        data = content.encode() if isinstance(content, str) else content
        (user.root / "results/000002.txt").write_bytes(data)
        return argv

    return make


def empty_results(user: UserFolder) -> list:
    user.out.mkdir()
    return ["kitti_eval", "--label_dir", user.labels, "--result_dir", user.out]


def missing_result(user: UserFolder, *more) -> list:
    argv = scored(user, *more)
    (user.root / "results/000002.txt").unlink()
    return argv


def doubled_results(user: UserFolder) -> list:
    argv = scored(user)
    for path in (user.root / "results").iterdir():
        path.write_text(path.read_text() * 2)
    return argv


def list_of_classes(user: UserFolder) -> list:
    (user.labels / "classes.txt").write_text("Car\nVan\n")
    return scored(user)


def damaged_devkit(user: UserFolder) -> list:
    user.file("devkit/mapping/train_mapping.txt", "a b\n")
    user.file("devkit/mapping/train_rand.txt", "1,2")
    devkit = ["--method", "drive", "--devkit_dir", user.root / "devkit"]
    return ["kitti_split", "--kitti_root", user.kitti, *devkit]


def other_frames(user: UserFolder) -> list:
    """Splits a folder with one frame that no published list has."""
    for name, ending in (("image_2", ".png"), ("label_2", ".txt")):
        source = user.kitti / f"training/{name}/000000{ending}"
        user.file(f"few/training/{name}/123456{ending}", source.read_bytes())
    return ["kitti_split", "--kitti_root", user.root / "few", "--method", "published"]


def split_without_label(user: UserFolder) -> list:
    (user.labels / "000009.txt").unlink()
    return ["kitti_split", "--kitti_root", user.kitti, "--overwrite", "--strict"]


RESULTS = [
    bad(
        "a score that is none",
        bad_result(RESULT.format(1, "nan")),
        "results/000002.txt:1: score is 'nan'",
    ),
    bad(
        "a result of 1e308",
        bad_result(RESULT.format("1e308", 1)),
        "000002.txt:1: box 1e308",
        "far outside",
    ),
    bad(
        "a result with a negative side",
        bad_result(RESULT.format(90, 0.5)),
        "000002.txt:1: box 90",
        "< left",
    ),
    bad(
        "labels among results", bad_result(CAR.format(10)), "000002.txt:1: 15 columns, expected 16"
    ),
    bad(
        "an archive of results",
        lambda u: [
            "kitti_eval",
            "--label_dir",
            u.labels,
            "--result_dir",
            u.file("results.zip", b"PK"),
        ],
        "results.zip is an archive; unpack it",
    ),
    bad(
        "a folder above the results",
        lambda u: [*scored(u)[:4], u.results().parent],
        "user holds no results",
        "did you mean .*results|did you mean",
    ),
    bad("an empty folder of results", empty_results, "out holds no results"),
    bad(
        "no folder of results",
        lambda u: ["kitti_eval", "--label_dir", u.labels, "--result_dir", u.root / "nowhere"],
        "nowhere, does not exist",
    ),
    bad(
        "no --result_dir",
        lambda u: ["kitti_eval", "--label_dir", u.labels],
        "--result_dir is missing",
    ),
    bad(
        "result files that are missing",
        missing_result,
        "warning: 1 of 12 frames have no result file, counted as empty: 000002",
        code=0,
        writes=("out",),
    ),
    bad(
        "the same, with --strict",
        lambda u: missing_result(u, "--strict"),
        r"warnings \(strict\)",
        "1 of 12 frames have no result file",
    ),
    bad(
        "detections written twice",
        doubled_results,
        "warning: 12 of 12 frames hold detections of one class on the same box",
        "was suppression skipped",
        code=0,
        writes=("out",),
    ),
    bad(
        "a detection of no class",
        bad_result(RESULT.format(10, 0.3).replace("Car", "Cra")),
        "1 detections are of type 'Cra'",
        "did you mean Car",
        code=0,
        writes=("out",),
    ),
    bad(
        "classes.txt among labels",
        list_of_classes,
        "classes.txt:1: 1 column",
        "list of class names, no label: move it out of the folder",
    ),
    bad(
        "--classes of a typing error",
        lambda u: scored(u, "--classes", "Cra"),
        "classes: no object .* of type Cra",
        "did you mean Car",
    ),
    bad(
        "--class_map to no class",
        lambda u: scored(u, "--class_map", "Van", "Cra"),
        "class_map maps Van to 'Cra'",
        "did you mean Car",
    ),
    bad(
        "--min_overlaps of 2",
        lambda u: scored(u, "--min_overlaps", "Car", "2"),
        "min_overlaps of Car is 2",
        "below 1",
    ),
    bad(
        "--json in a folder's place",
        lambda u: [*scored(u)[:-1], u.labels],
        "label_2 is a folder; name a file in it",
    ),
    bad(
        "--json over a file of another",
        lambda u: [*scored(u)[:-1], u.file("mine.json", "{}")],
        "mine.json is there",
        "--overwrite",
    ),
    bad(
        "--image_dir that is nowhere",
        lambda u: scored(u, "--report", u.out / "a.html", "--image_dir", u.root / "nowhere"),
        "--image_dir, .*nowhere, does not exist",
    ),
    bad(
        "--frames that is nowhere",
        lambda u: scored(u, "--frames", u.root / "no.txt"),
        "no.txt, does not exist",
    ),
    bad(
        "--frames without a label",
        lambda u: scored(u, "--frames", u.file("list.txt", "000099\n")),
        "1 of 1 frames have no label",
    ),
]

SPLITS = [
    bad(
        "hand-made ImageSets",
        lambda u: ["kitti_split", "--kitti_root", u.kitti],
        "ImageSets/train.txt was not written by this command",
        "--overwrite",
    ),
    bad(
        "no KITTI there",
        lambda u: ["kitti_split", "--kitti_root", u.root / "nowhere"],
        "nowhere/training/image_2 does not exist",
        "unpack",
        "name another folder",
    ),
    bad(
        "a fraction in percent",
        lambda u: ["kitti_split", "--kitti_root", u.kitti, "--val_fraction", "50"],
        "val_fraction is 50",
        "below 1",
    ),
    bad(
        "drives without the devkit",
        lambda u: ["kitti_split", "--kitti_root", u.kitti, "--method", "drive"],
        "train_mapping.txt does not exist",
        "--devkit_dir",
    ),
    bad(
        "a damaged list of the devkit",
        damaged_devkit,
        "train_mapping.txt:1: 'a b' is not 'date drive frame'",
    ),
    bad(
        "the published split of other data",
        other_frames,
        "none of the published split's .* frames is in this folder",
    ),
    bad(
        "a frame without label, with --strict",
        split_without_label,
        r"warnings \(strict\)",
        "1 of 12 frames lack an image or a label .*000009",
    ),
    bad(
        "anchors for a class that is nowhere",
        lambda u: ["fit_anchors", "--label_dir", u.labels, "--classes", "Cra"],
        "is of class Cra; did you mean Car",
    ),
    bad(
        "more anchors than objects",
        lambda u: ["fit_anchors", "--label_dir", u.labels, "--num_shapes", "900"],
        "900",
    ),
    bad(
        "strides without numbers of shapes",
        lambda u: ["fit_anchors", "--label_dir", u.labels, "--strides", "8", "16"],
        "2 strides and 1 numbers of shapes",
    ),
]

CASES = {"results": RESULTS, "splits and anchors": SPLITS}
