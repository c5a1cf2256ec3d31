"""A class without a single object: a typing error, found before hours of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.type_names import nearest
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths


def check_training_classes(config: DetectionConfig) -> None:
    """Refuses a config with a class that no object of the training records has.

    Reads the records only as far as it takes to see every class; all of them to refuse.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: a class has no object; names the nearest type, and how many of each there are.
    """
    split, records_dir = config.data.train_split, config.data.records_dir
    classes = config.data.class_task().class_of_type
    counts: Counter[str] = Counter()
    unseen = set(config.data.classes)
    for frame in read_frames(shard_paths(records_dir, split)):
        types = frame.objects.types.tolist()
        counts.update(types)
        unseen -= {classes.get(name.lower()) for name in types}
        if not unseen:
            return
    refuse_absent_classes(config.data.class_task(), counts, f"split {split} in {records_dir}")


def refuse_absent_classes(task: EvalTask, counts: Mapping[str, int], source: str) -> None:
    """Refuses a task with a class that none of the labelled objects has.

    Args:
        task: the classes and the types mapped to them.
        counts: objects by type.
        source: where they were counted, for the message.

    Raises:
        ValueError: a class has no object; names the nearest type, and how many of each there are.
    """
    classes = task.class_of_type
    seen = {classes.get(name.lower()) for name, count in counts.items() if count}
    absent = [name for name in task.names if name not in seen]
    if not absent:
        return
    free = [name for name in counts if name.lower() not in classes]
    known = ", ".join(f"{name} {count:,}" for name, count in Counter(counts).most_common())
    raise ValueError(
        f"no object in {source} is of class {absent[0]}{nearest(absent[0], free)}. There are: "
        f"{known or 'no objects at all'}. Name one of these in classes, or map one to "
        f"{absent[0]} with class_map"
    )
