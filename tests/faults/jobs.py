"""The commands that write, as lines, and where they write."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A command on the small inputs of `world.py`.

    Attributes:
        words: the command line.
        places: folders that it writes in; everything else is not its own.
        grows: whether it writes files again while it runs, so that those of a killed one are
            neither the old nor the last.
    """

    words: str
    places: tuple[str, ...]
    grows: bool = False

    @property
    def command(self):
        return self.words.split()[0]


RUN = "--run_dir run"
PACK = f"pack_run {RUN} --data drawn"
IMPORTED = "out/kitti"
TO_RECORDS = "--to records --val_fraction 0.5"
KITTI_EVAL = "kitti_eval --label_dir kitti/training/label_2 --result_dir results"
JOBS = {
    "kitti_split": Job("kitti_split --kitti_root fresh --seed 3", ("fresh/ImageSets",)),
    "kitti_synthesize": Job(
        "kitti_synthesize --output_dir rendered --num_frames 2 --num_workers 1", ("rendered",)
    ),
    "kitti_synthesize in processes": Job(
        "kitti_synthesize --output_dir rendered --num_frames 4 --num_workers 2", ("rendered",)
    ),
    "tf_convert_data": Job(
        "tf_convert_data --dataset_root kitti --output_dir out --num_shards 3", ("out",)
    ),
    "tf_convert_data over records": Job(
        "tf_convert_data --dataset_root kitti --num_shards 2 --jpeg_quality 90 --overwrite",
        ("kitti/tfrecord",),
    ),
    "imagenet_convert": Job(
        "imagenet_convert --dataset_root classes --output_dir out --num_shards 3", ("out",)
    ),
    "inspect_records": Job(
        "inspect_records --records_dir kitti/tfrecord --montage out/montage.jpg", ("out",)
    ),
    "fit_anchors": Job(
        "fit_anchors --label_dir kitti/training/label_2 --num_shapes 2 --plot out/anchors.png "
        "--classes Car Pedestrian --save_config out/anchors.json",
        ("out",),
    ),
    "kitti_split elsewhere": Job("kitti_split --kitti_root fresh --output_dir out/lists", ("out",)),
    "import": Job(f"import coco.json {IMPORTED} --format coco --image_files copy", ("out",)),
    "import records": Job(f"import kitti/tfrecord {IMPORTED} --format tf_records", ("out",)),
    "export_labels": Job(
        "export_labels kitti out/yolo --format yolo --image_files copy --split train val", ("out",)
    ),
    "export_annotations": Job(
        "export_annotations predictions out/draft.xml --format cvat", ("out",)
    ),
    "average_runs": Job(f"average_runs {RUN} other --output_dir out/mean", ("out",), grows=True),
    "kitti_submission": Job(
        f"kitti_submission {RUN} --kitti_root kitti --num_frames 3 --output out/results.zip",
        ("out",),
    ),
    "eval a job": Job(f"eval {RUN} --num_shards 2 --shard 1 --output_dir out", ("out",)),
    "eval of jobs": Job(
        f"eval {RUN} --merge jobs/eval/0-of-2 jobs/eval/1-of-2 --output_dir out --report "
        "--compare results",
        ("out",),
    ),
    "export a page": Job(
        f"export {RUN} --format web --web_runtime package --output_dir out/page", ("out",)
    ),
    "import to records": Job(f"import coco.json {IMPORTED} --format coco {TO_RECORDS}", ("out",)),
    "train": Job("train --config small.json --run_dir out/run", ("out/run",), grows=True),
    "train_classifier": Job(
        "train_classifier --config classifier.json --run_dir out/run", ("out/run",), grows=True
    ),
    "plot_metrics": Job(f"plot_metrics {RUN} --output out/metrics.png", ("out",)),
    "learning_curve": Job("learning_curve --run_dir run smaller --output out/curve.png", ("out",)),
    "pack_run": Job(f"{PACK} --output_dir out", ("out",)),
    "eval": Job(f"eval {RUN} --output_dir out --report", ("out",)),
    "eval in the run": Job(f"eval {RUN} --split train", ("run",)),
    "predict": Job(
        f"predict pictures {RUN} --output_dir out --format overlay kitti json --score 0.01",
        ("out",),
        grows=True,
    ),
    "predict a video": Job(
        f"predict clip.avi {RUN} --output_dir out --score 0.01 --format overlay", ("out",)
    ),
    "visualize": Job(f"visualize {RUN} --output_dir out --score 0.01", ("out",)),
    "visualize labels": Job(f"visualize {RUN} --what labels --output_dir out", ("out",)),
    "kitti_eval figures": Job(f"{KITTI_EVAL} --json out/ap.json", ("out",)),
    "kitti_eval": Job(
        f"{KITTI_EVAL} --json out/ap.json --plots out/plots --report out/ap.html "
        "--frames kitti/ImageSets/val.txt",
        ("out",),
    ),
}
