"""The commands: what each does and examples of it, for the help pages."""

from __future__ import annotations

from dataclasses import dataclass

# Columns of the help.
_WIDTH = 100


@dataclass(frozen=True)
class Command:
    """One command; `command_module` has its `main`.

    Attributes:
        summary: what it does, a few words.
        examples: what follows `mobilenetdet NAME`, each with what it does.
    """

    summary: str
    examples: tuple[tuple[str, str], ...]


# Group of commands to its commands by name, in the order of the help.
GROUPS: dict[str, dict[str, Command]] = {
    "use a detector": {
        "predict": Command(
            "detect in images, videos, cameras and streams",
            (
                ("photo.jpg", "draws predictions/overlays/photo.jpg"),
                ("clips/*.mp4 --format video json", "draws the videos, lists the boxes"),
                ("0 --show", "the first camera, in a window"),
                ("photo.jpg --image_size auto", "for portraits and squares"),
                ("photo.jpg --postprocess.mirror True", "more AP for twice the time"),
                ("clips --engine litert", "exported once, then faster"),
                ("photo.jpg --model detector.tflite", "by an exported file"),
            ),
        ),
        "eval": Command(
            "measure a run's AP",
            (
                ("--run_dir runs/ssd_fpn", "AP on the validation split"),
                ("--run_dir runs/ssd_fpn --report", "and a page that says what it is made of"),
            ),
        ),
        "visualize": Command(
            "draw detections, labels, training batches or anchor matches",
            (
                ("--run_dir runs/ssd_fpn", "hits, misses and false alarms"),
                ("--model exported/detector_int8.tflite", "those of an exported file"),
                ("--what batches --preset ssd_fpn", "augmented frames as training sees them"),
            ),
        ),
        "kitti_eval": Command(
            "score any detector's result files",
            (
                (
                    "--result_dir results --frames data/KITTI/ImageSets/val.txt",
                    "KITTI's official AP on a split",
                ),
                ("--result_dir results --report ap.html", "of all labelled frames, explained"),
            ),
        ),
        "kitti_submission": Command(
            "detect in KITTI's test frames, for its server",
            (("--run_dir runs/ssd_fpn --output results.zip", "7,518 result files in an archive"),),
        ),
        "export": Command(
            "write a detector for LiteRT, ONNX Runtime, OpenVINO, TensorFlow or a browser",
            (
                (
                    "--run_dir runs/ssd_fpn --precision float32 int8",
                    "exported/detector_int8.tflite",
                ),
                ("--format onnx openvino --image_size 384x1248", "the weights that ship"),
                ("--format web", "a page that detects in the browser"),
            ),
        ),
        "export_annotations": Command(
            "write predictions as a draft for Label Studio or CVAT",
            (
                ("predictions tasks.json --format label_studio", "tasks to import"),
                ("predictions cvat.xml --format cvat --score 0.5", "annotations to upload"),
            ),
        ),
        "average_runs": Command(
            "the mean of the weights of runs, measured",
            (
                (
                    "--run_dir ssd_fpn runs/mine --output_dir runs/averaged",
                    "of a detector and of one fine-tuned from it",
                ),
            ),
        ),
        "pack_run": Command(
            "pack a run to give it away: small weights, config, card",
            (
                (
                    "--run_dir runs/ssd_fpn --output_dir packed --data 'KITTI, 7,481 frames'",
                    "weights in half precision, the config and a card",
                ),
            ),
        ),
    },
    "prepare data": {
        "kitti_synthesize": Command(
            "render a data set in KITTI's format",
            (("--num_frames 800", "800 rendered frames with exact labels"),),
        ),
        "import": Command(
            "make a KITTI folder, or records, of labels in another format",
            (
                ("--format coco annotations.json data/mine", "pictures are found around the file"),
                (
                    "--format yolo data.yaml data/mine --class_map person Pedestrian",
                    "with names that KITTI has",
                ),
                (
                    "--format tf_records od_api data/records --to records",
                    "of the TensorFlow Object Detection API, to train on as they are",
                ),
            ),
        ),
        "export_labels": Command(
            "write KITTI labels or results as COCO, YOLO or VOC",
            (
                ("--format coco data/KITTI coco", "annotations/instances_val.json and so on"),
                (
                    "--format coco results out --coco_file instances_val.json",
                    "out/results.json for pycocotools",
                ),
            ),
        ),
        "kitti_split": Command(
            "divide KITTI's frames into train and val",
            (
                ("", "random halves of data/KITTI"),
                ("--method published", "the 3,712 and 3,769 frames that most papers use"),
            ),
        ),
        "tf_convert_data": Command(
            "convert a KITTI folder to TFRecords",
            (("--dataset_root data/KITTI", "data/KITTI/tfrecord"),),
        ),
        "imagenet_convert": Command(
            "convert ImageNet or any class folders to TFRecords",
            (("--dataset_root data/imagenet", "data/imagenet/tfrecord"),),
        ),
        "inspect_records": Command(
            "count and draw what is in the records",
            (("--records_dir data/KITTI/tfrecord", "objects of each class, by split"),),
        ),
        "fit_anchors": Command(
            "fit anchor shapes to the boxes of a data set",
            (("--strides 8 16 32 --num_shapes 5 4 3", "shapes for three levels"),),
        ),
    },
    "train": {
        "train": Command(
            "train a detector",
            (
                ("--preset quickstart", "in minutes on a laptop, on rendered frames"),
                ("--train.epochs 60 --train.batch_size 8", "the default preset, for longer"),
                ("--config my.yaml --train.epochs 5", "settings from a file; options win"),
                ("--preset squeezedet --head.box_loss ciou", "another box loss"),
                ("--head.class_loss.kind softmax", "another class loss, with its defaults"),
            ),
        ),
        "train_classifier": Command(
            "train MobileNetV1 as a classifier on CIFAR-10 or ImageNet",
            (
                ("--preset cifar10 --load_pretrain --lr 0.05 --epochs 8", "from ImageNet weights"),
                ("--preset imagenet --batch_size 256", "from scratch, after imagenet_convert"),
            ),
        ),
        "plot_metrics": Command(
            "draw the losses and the AP of a run",
            (
                ("--run_dir runs/ssd_fpn", "losses, learning rate and AP by epoch"),
                ("--run_dir runs/a runs/b", "two runs compared"),
            ),
        ),
        "learning_curve": Command(
            "fit AP over the number of training frames",
            (("--run_dir runs/n_100 runs/n_200 runs/n_400", "what more frames would give"),),
        ),
    },
    "look and time": {
        "benchmark": Command(
            "compare formats and precisions of a detector: AP, ms, MB",
            (
                ("--formats litert onnx openvino", "the weights that ship, on rendered frames"),
                (
                    "--run_dir runs/ssd_fpn --records_dir data/KITTI/tfrecord",
                    "your run, with the AP of each file",
                ),
            ),
        ),
        "inspect_checkpoint": Command(
            "list what is in weight files and checkpoints",
            (("runs/ssd_fpn", "names and shapes of the weights of a run"),),
        ),
        "model_costs": Command(
            "print parameters and multiply-adds of the models",
            (("", "of every width, resolution and preset"),),
        ),
        "time_benchmark": Command(
            "time training and inference",
            (("", "milliseconds of a step and of a detection"),),
        ),
        "pipeline_benchmark": Command(
            "time the input pipeline",
            (("--records_dir data/KITTI/tfrecord", "frames a second, stage by stage"),),
        ),
        "eval_benchmark": Command(
            "time the evaluation",
            (("", "seconds for a split as large as KITTI's"),),
        ),
    },
}
COMMANDS: dict[str, Command] = {
    name: command for group in GROUPS.values() for name, command in group.items()
}
# Modules of commands whose names are words of Python, which no module is imported by.
_MODULES = {"import": "import_labels"}


def command_module(name: str) -> str:
    """Returns the module that has the `main` and the `Options` of a command.

    Example: of "import" it is "mobilenetdet.cli.import_labels".
    """
    return f"mobilenetdet.cli.{_MODULES.get(name, name)}"


def command_of(module: str) -> str:
    """Returns the name of the command that a module has; see `command_module`."""
    return next((name for name in COMMANDS if command_module(name) == module), "")


def examples_text(name: str) -> str:
    """Formats the examples of a command, each behind a comment that says what it does."""
    pairs = [
        (f"  mobilenetdet {name} {words}".rstrip(), f"# {what}")
        for words, what in COMMANDS[name].examples
    ]
    width = max(len(line) for line, _ in pairs)
    if width + 2 + max(len(what) for _, what in pairs) <= _WIDTH:
        return "\n".join(f"{line:{width}}  {what}" for line, what in pairs)
    return "\n".join(f"  {what}\n{line}" for line, what in pairs)


def overview() -> str:
    """Formats the help page of the program: all commands, in groups."""
    width = max(map(len, COMMANDS))
    lines = ["usage: mobilenetdet COMMAND [OPTIONS]", ""]
    for group, commands in GROUPS.items():
        lines += [f"{group}:"]
        lines += [f"  {name:{width}}  {command.summary}" for name, command in commands.items()]
        lines += [""]
    return "\n".join(
        [
            *lines,
            "mobilenetdet COMMAND --help explains a command; --version prints the version.",
            "To complete commands and options with the Tab key:",
            "  mobilenetdet --print-completion bash > \\",
            "      ~/.local/share/bash-completion/completions/mobilenetdet",
            "  mobilenetdet --print-completion zsh > _mobilenetdet    # into a folder of $fpath",
        ]
    )
