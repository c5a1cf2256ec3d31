"""Which frames a run trains on, and whether it is measured on some of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.distribution.cluster import ALONE, Cluster
from mobilenetdet.findings import count_named, report_findings
from mobilenetdet.kitti.frames_seen import FramesSeen, read_frames_seen, seen_in_split
from mobilenetdet.records.frame_hashes import ScannedFrames, scan_frames
from mobilenetdet.records.shards import records_order, shard_paths
from mobilenetdet.runs import FRAMES_SEEN_FILE, RunDir, find_detector_weights, open_run
from mobilenetdet.system.job_share import JobShare


@dataclass(frozen=True)
class TrainingFrames:
    """The frames that a run trains on.

    Attributes:
        seen: these, and those of the weights that it begins from and of its teachers.
        most_objects: of one frame, DontCare included.
    """

    seen: FramesSeen
    most_objects: int


def frames_of_training(
    config: DetectionConfig, run: RunDir, *, strict: bool = False, cluster: Cluster = ALONE
) -> TrainingFrames:
    """Returns the frames that a run trains on, and warns of those that it is measured on.

    Reads the records of both splits once.

    Args:
        config: of the run.
        run: may hold an unfinished run, whose frames count, too.
        strict: makes errors of the warnings.
        cluster: the processes of the run, each of which reads a share of the files.

    Raises:
        FileNotFoundError: a split is not converted, or there are no such weights to begin from.
        ValueError: the records are damaged, or in another order in another process; with `strict`,
            the validation split holds frames of the training, or the batch is larger than the
            split.
    """
    data = config.data
    scanned = [_scan(data.records_dir, s, cluster) for s in (data.train_split, data.val_split)]
    train, val = (each.hashes for each in scanned)
    own = FramesSeen.of(train.values(), num_train_frames=len(train))
    before = _seen_before(config, run)
    findings = []
    if (batch := config.train.batch_size) > len(train):
        findings.append(
            f"train.batch_size is {batch}, and the split {data.train_split} has {len(train)} "
            "frames: each step takes all of them, and an epoch is one step"
        )
    if shared := seen_in_split(own, val, data.val_split).frame_ids:
        what = f"{data.val_split} frames are in the split {data.train_split}, too"
        findings.append(f"{count_named(shared, len(val), what)}; AP on them flatters")
    earlier = seen_in_split(before, val, data.val_split).frame_ids
    if only_earlier := [i for i in earlier if i not in shared]:
        source = "the weights that this run begins from"
        source += " or its teachers" if config.train.teachers else ""
        what = f"{data.val_split} frames were trained on by {source}"
        findings.append(f"{count_named(only_earlier, len(val), what)}; AP on them flatters")
    report_findings(findings, strict=strict)
    return TrainingFrames(own | before, scanned[0].most_objects)


def _scan(records_dir: str, split: str, cluster: Cluster) -> ScannedFrames:
    if not cluster.is_alone:  # else the shares of two might hold the same frame, and none another
        order = records_order(shard_paths(records_dir, split))
        cluster.agree({f"the order of the records of {split}": order}, unknown="")
    share = JobShare(cluster.process_id, cluster.num_processes)
    parts = cluster.gather(scan_frames(records_dir, split, share))
    return ScannedFrames.joined(parts, records_dir, split)


def _seen_before(config: DetectionConfig, run: RunDir) -> FramesSeen:
    """The frames that a run has seen before its next epoch."""
    earlier = read_frames_seen(run.frames_seen_file) if run.state_file.is_file() else None
    if earlier is not None:  # the weights that it began from may be gone by now
        return earlier
    model = config.model
    seen = FramesSeen()
    if model.detector_weights:
        path = find_detector_weights(model.detector_weights)
        seen |= read_frames_seen(path.with_name(FRAMES_SEEN_FILE)) or FramesSeen(complete=False)
    elif model.weights not in ("none", "imagenet"):
        # Weights of classifiers have no such record and have seen no frame; those of runs have one.
        path = Path(model.weights).with_name(FRAMES_SEEN_FILE)
        seen |= read_frames_seen(path) or FramesSeen()
    for teacher in config.train.teachers:  # what they know of these frames is learnt from them
        seen |= read_frames_seen(open_run(teacher).frames_seen_file) or FramesSeen(complete=False)
    return seen
