"""A class without a single object: a typing error, found before hours of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.config.detection import DataConfig, DetectionConfig
from mobilenetdet.config.type_names import KITTI_TYPES, nearest
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths


def check_training_classes(config: DetectionConfig) -> None:
    """Refuses a config with a class or a type that no object of the training records has.

    Types are those that class_map and neighbours name; KITTI's own may be absent. Reads the records
    only as far as it takes to see every one; all of them to refuse.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: a class or type has no object; names the nearest type, and how many of each
            there are.
    """
    split, records_dir = config.data.train_split, config.data.records_dir
    classes = config.data.class_task().class_of_type
    counts: Counter[str] = Counter()
    unseen = set(config.data.classes)
    unseen_types = _own_types(config.data)
    for frame in read_frames(shard_paths(records_dir, split)):
        types = frame.objects.types.tolist()
        counts.update(types)
        unseen -= {classes.get(name.lower()) for name in types}
        for name in {name.lower() for name in types}:
            unseen_types.pop(name, None)
        if not unseen and not unseen_types:
            return
    source = f"split {split} in {records_dir}"
    refuse_absent_classes(config.data.class_task(), counts, source)
    name = min(unseen_types.values())
    raise ValueError(
        f"no object in {source} is of type {name}, which class_map or neighbours names"
        f"{nearest(name, counts) or '.'} There are: {_listed(counts)}"
    )


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
    hint = nearest(absent[0], [name for name in counts if name.lower() not in classes]) or "."
    raise ValueError(
        f"no object in {source} is of class {absent[0]}{hint} There are: "
        f"{_listed(counts)}. Name one of these in classes, or map one to {absent[0]} with class_map"
    )


def _own_types(data: DataConfig) -> dict[str, str]:
    """Types that the mapping and the neighbours name and that are not KITTI's, by lower case."""
    named = [*data.class_map, *(name for names in data.neighbours.values() for name in names)]
    of_kitti = {name.lower() for name in KITTI_TYPES}
    return {name.lower(): name for name in named if name.lower() not in of_kitti}


def _listed(counts: Mapping[str, int]) -> str:
    known = ", ".join(f"{name} {count:,}" for name, count in Counter(counts).most_common())
    return known or "no objects at all"
