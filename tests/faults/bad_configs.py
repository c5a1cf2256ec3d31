"""Config files, and options on the command line."""

import json
from collections.abc import Callable

from faults.bad_labels import convert
from faults.bad_records import classify, train
from faults.bad_weights import predict
from faults.user_folder import UserFolder, bad


def config(text: str | bytes, name: str = "mine.json") -> Callable:
    """Trains by a file of settings."""

    def make(user: UserFolder) -> list:
        argv = ["train", "--config", user.file(name, text), "--run_dir", user.out]
        return [*argv, "--data.records_dir", user.records]

    return make


def yaml(text: str) -> Callable:
    return config(text, "mine.yaml")


def options(*more) -> Callable:
    """Trains with options."""
    return lambda user: train(user, *more)


def of_run(change: Callable[[dict], object]) -> Callable:
    """Changes the config of a run."""

    def make(user: UserFolder) -> list:
        path = user.run / "config.json"
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))
        return predict(user)

    return make


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{old}, *{old}, *{old}]\n"
    for old, name in zip("abcdefgh", "bcdefghi", strict=True)
)

FILES = [
    bad(
        "no such file", lambda u: train(u, "--config", u.root / "no.yaml"), "no.yaml does not exist"
    ),
    bad("no JSON", config("{'a': 1}"), "mine.json is not a detection config: Expecting"),
    bad("no YAML", yaml("a: [1, 2"), "mine.yaml is not a detection config: while parsing"),
    bad("UTF-16", config("{}".encode("utf-16")), "mine.json: .*UTF-16; save it as UTF-8"),
    bad("a list", config("[1]"), "mine.json is not a detection config: .*sections, not list"),
    bad("an empty file", yaml(""), "mine.yaml is not a detection config: .*sections, not NoneType"),
    bad("ten thousand brackets", config("[" * 10_000), "mine.json is not a detection config: "),
    bad(
        "ten thousand brackets in YAML", yaml("[" * 10_000), "mine.yaml is not a detection config: "
    ),
    bad("a number of 5,000 digits", config(f'{{"train": {{"seed": {"1" * 5000}}}}}'), "mine.json"),
    bad(
        "a day that no month has", yaml("train: 2024-99-99"), "mine.yaml is not a detection config"
    ),
    bad("aliases", yaml(LAUGHS), "mine.yaml is not a detection config: .*aliases"),
    bad(
        "Python in YAML", yaml('!!python/object/apply:os.system ["touch out"]'), "mine.yaml is not"
    ),
    bad("a number for a key", yaml("1: 2"), "mine.yaml is not a detection config: 1 is no key"),
    bad(
        "a key that comes twice", config('{"train": {"seed": 1, "seed": 2}}'), "'seed' comes twice"
    ),
    bad("an unknown section", config('{"trian": {}}'), "unknown key trian; did you mean train"),
    bad(
        "an unknown key",
        config('{"train": {"epoch": 5}}'),
        "mine.json .*unknown key train.epoch; did you mean train.epochs",
    ),
    bad("a section that is a number", config('{"train": 5}'), "train: .*not 5"),
    bad("a text for a number", config('{"train": {"epochs": "x"}}'), "train.epochs: .*not 'x'"),
    bad("no epochs", config('{"train": {"epochs": 0}}'), "train.epochs is 0; it must be above 0"),
    bad("a rate of NaN", config('{"train": {"learning_rate": NaN}}'), "learning_rate is nan"),
    bad("an infinite rate", config('{"train": {"learning_rate": 1e999}}'), "learning_rate is inf"),
    bad("a format to come", config('{"format": 99}'), "has format 99; .*reads 1 to 2: update it"),
    bad("a format of text", config('{"format": "new"}'), "has format 'new'"),
    bad("another head", config('{"head": {"kind": "yolo"}}'), "head.kind is 'yolo'; .*squeezedet"),
    bad(
        "a key of another head",
        config('{"head": {"kind": "squeezedet", "class_loss": {}}}'),
        "belongs to ssd",
    ),
    bad(
        "strides of an earlier version as a number",
        config('{"model": {"strides": 8}}'),
        "mine.json: model.strides is part of model.levels now",
    ),
    bad("a head that is a list", config('{"model": {"head": []}}'), "mine.json"),
    bad("mosaics of an earlier version", config('{"augment": {"mosaic": 0.5}}'), "option is gone"),
    bad(
        "no anchors",
        config('{"model": {"levels": [{"stride": 8, "anchors": []}]}}'),
        "it must be one or more",
    ),
    bad(
        "levels out of order",
        options("--model.levels", "16:9x9", "8:9x9"),
        r"model.levels is \(16, 8\); .*finest stride first",
    ),
]

ABSURD = [
    bad(
        "an input of a billion", options("--data.image_width", "1000000000"), "image_width", "8192"
    ),
    bad(
        "an odd input",
        options("--data.image_height", "100"),
        "image_height is 100; .*multiple of 32",
    ),
    bad("an alpha of 1000", options("--model.alpha", "1000"), "model.alpha is 1000.0; .*at most 8"),
    bad("an alpha of 0", options("--model.alpha", "0"), "model.alpha is 0.0; it must be above 0"),
    bad(
        "a billion channels",
        options("--head.channels", "1000000000"),
        "head.channels .*at most 8192",
    ),
    bad(
        "a pyramid of a billion", options("--model.pyramid_channels", "1000000000"), "at most 8192"
    ),
    bad(
        "a batch of a billion", options("--train.batch_size", "1000000000"), "batch_size .*at most"
    ),
    bad("a seed of -1", options("--train.seed", "-1"), "train.seed is -1; it must be 0 or more"),
    bad(
        "a billion candidates",
        options("--postprocess.max_candidates", "1000000000"),
        "max_candidates .*at most 16384",
    ),
    bad("a name of a class with a tab", options("--data.classes", "a\tb"), "classes: 'a.*tb'"),
    bad("a class that steers the terminal", options("--data.classes", "a\x1b[2J"), "is no name"),
    bad(
        "a class of a megabyte",
        config(json.dumps({"data": {"classes": ["a" * 10**6]}})),
        "is no name",
    ),
    bad("a class twice", options("--data.classes", "Car", "car"), "one or more distinct names"),
    bad("a class called mean", options("--data.classes", "mean"), "'mean' cannot name a class"),
    bad(
        "an absurd config of a run",
        of_run(lambda c: c["data"].update(image_width=3_200_000)),
        "8192",
    ),
    bad(
        "a config of a run of another kind",
        of_run(lambda c: c.clear() or c.update(a=1)),
        "unknown key a",
    ),
    bad("an optimizer that is none", options("--train.optimizer", "adamww"), "adamww"),
    bad(
        "a level of text", options("--model.levels", "8:ax3"), "level '8:ax3' is not STRIDE:WIDTHx"
    ),
    bad("a stride of 7", options("--model.levels", "7:10x20"), "stride"),
    bad(
        "a batch larger than the split, with --strict",
        options("--train.batch_size", "99", "--strict"),
        "train.batch_size is 99, and the split train has 8 frames",
    ),
    bad("a batch larger than the images", lambda u: [*classify(u), "--batch_size", "99"], "99"),
    bad(
        "other classes than the records",
        lambda u: [*classify(u), "--data.num_classes", "7"],
        "lists 4",
    ),
]

OPTIONS = [
    bad("--conf", lambda u: predict(u, "--conf", "0.3"), "no option --conf; here it is --score"),
    bad("--epochs", options("--epochs", "3"), "no option --epochs; here it is --train.epochs"),
    bad("--img", options("--img", "640"), "no option --img; here it is --data.image_height and"),
    bad("--batch-size", options("--batch-size", "3"), "here it is --train.batch_size"),
    bad("--weights of a training", options("--weights", "x.h5"), "--model.detector_weights"),
    bad("--device", options("--device", "0"), "here it is CUDA_VISIBLE_DEVICES"),
    bad("an unknown option", options("--train.epohcs", "3"), "train.epohcs", "--train.epochs"),
    bad("an unknown preset", lambda u: ["train", "--preset", "yolo", "--run_dir", u.out], "'yolo'"),
    bad("a score of 7", lambda u: predict(u, "--score", "7"), "--score is 7; it must be 0 to 1"),
    bad("a score of text", lambda u: predict(u, "--score", "high"), "high"),
    bad("an option without value", lambda u: predict(u, "--score"), "--score"),
    bad("a key fixed by training", lambda u: predict(u, "--model.alpha", "1"), "fixed by training"),
    bad("no shards", lambda u: convert(u, "--num_shards", "0"), "num_shards is 0; it must be 1 to"),
    bad("a quality of 101", lambda u: convert(u, "--jpeg_quality", "101"), "jpeg_quality is 101"),
    bad("a split without name", lambda u: convert(u, "--split"), "--split needs one value or more"),
    bad(
        "a split that is a path",
        lambda u: convert(u, "--split", "../ImageSets/train"),
        "ImageSets: '../ImageSets/train' is no name of a split",
    ),
    bad(
        "a split with the mark of an unfinished one",
        lambda u: convert(u, "--split", "train.partial", "train"),
        "'train.partial' is no name of a split",
        "rename it",
    ),
    bad(
        "a split of classes that is a path",
        lambda u: [
            *("imagenet_convert", "--dataset_root", u.classes, "--split", "../classes/train"),
            *("--output_dir", u.out),
        ],
        "classes: '../classes/train' is no name of a split",
    ),
    bad(
        "a split to train on that is a path",
        options("--data.train_split", "../tfrecord/train"),
        "'../tfrecord/train' is no name of a split",
    ),
    bad(
        "an odd number of words",
        lambda u: ["kitti_eval", "--class_map", "Van"],
        "'Van' is not a sequence of TYPE CLASS",
    ),
    bad(
        "--weights to draw labels",
        lambda u: ["visualize", "--what", "labels", "--run_dir", u.run, "--weights", "a.h5"],
        "--weights has no effect on --what labels",
    ),
    bad(
        "a size of 0",
        lambda u: ["model_costs", "--sizes", "0", "--tables", "classifiers"],
        "size is 0; it must be above 0",
    ),
    bad(
        "no classifier's images",
        lambda u: ["train_classifier", "--data.data_dir", u.root / "no", "--run_dir", u.out],
        "no",
    ),
]

CASES = {"config files": FILES, "absurd settings": ABSURD, "options": OPTIONS}
