"""How a network learns: the matches of anchors, and the training run."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar

from pydantic import Field

from mobilenetdet.config.validation import (
    VIRTUAL_DEVICES,
    BatchSize,
    Coordinator,
    DeviceList,
    Fraction,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    PositiveShare,
    Seed,
    require,
    section,
)

_ADDRESS = "HOST:PORT of process 0 beside train.num_processes and train.process_id"
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Logger = Literal["tensorboard", "wandb", "mlflow"]
# What a training computed on: devices and addresses.
_OF_MACHINE = ("devices", "coordinator", "num_processes", "process_id")

Fit = TypeVar("Fit", bound="FitConfig")


@section("matching")
class MatchingConfig:
    """Which anchors learn an object, which background, and which neither."""

    # Lowest IoU with an object at which an anchor learns it, above 0 up to 1. The best anchor of
    # each object learns it at any IoU; 1 = only that one.
    positive_iou: PositiveShare = 0.5
    # Lowest IoU with an object at which an anchor is not background, above 0 up to positive_iou;
    # between the two it learns nothing.
    ignore_iou: PositiveShare = 0.4
    # Lowest share of an anchor's area inside a DontCare region at which it learns nothing, above 0
    # up to 1.
    dont_care_overlap: PositiveShare = 0.5
    # Whether anchors on ignored objects and in DontCare regions learn nothing; False: background.
    ignore_regions: bool = True

    def __post_init__(self) -> None:
        """Checks the order of the thresholds."""
        rule = f"at most matching.positive_iou, {self.positive_iou}"
        ordered = self.ignore_iou <= self.positive_iou
        require(ordered, "matching.ignore_iou", self.ignore_iou, rule)


@section("train")
class FitConfig:
    """Training settings that detectors and classifiers share."""

    # Passes over the training images, 1 or more.
    epochs: PositiveInt = 30
    # Images a step, of all devices together, 1 or more.
    batch_size: BatchSize = 4
    # Devices that share each batch: all visible GPUs, a number of them, or cpu:N, N virtual
    # devices on the CPU, to try it. Without a GPU it is the CPU.
    devices: DeviceList = "all"
    # Several machines, with JAX: HOST:PORT of the first process, which all others can reach; auto
    # where SLURM, Kubernetes or Open MPI has started the processes. Empty: this process alone.
    coordinator: Coordinator = ""
    # Processes of the training, one a machine or one a GPU; goes with HOST:PORT.
    num_processes: PositiveInt = 1
    # Number of this process, from 0; the first one writes the run directory.
    process_id: NonNegativeInt = 0
    # Shares of the records, each shuffled by itself, that give an equal part of every batch; a
    # divisor of batch_size. Each process reads its own alone, so that several processes have at
    # least one each; one process makes the same batches with as many shares. CIFAR-10 has no
    # records, and is not divided.
    record_shares: PositiveInt = 1
    # Whether batch normalisation measures the batch of all devices together; False: each its own
    # part, which is faster. With JAX it is always of all.
    sync_batch_norm: bool = True
    # Seed of the initial weights, the order of the images and the augmentation.
    seed: Seed = 0
    # Keras optimizer by name: sgd, rmsprop, adam, adamw, lion, ... Or yellowfin, which tunes its
    # rate, momentum and clipping; it wants learning_rate 1 and clip_norm 0.
    optimizer: str = "adamw"
    # Highest learning rate, above 0.
    learning_rate: Positive = 1e-3
    # Momentum of the optimizers that have one, 0 to 1.
    momentum: Fraction = 0.9
    # Decoupled weight decay, 0 or more. Biases and batch normalisation are exempt.
    weight_decay: NonNegative = 1e-4
    # Highest global norm of the gradients, which are scaled down to it; 0 = no clipping.
    clip_norm: NonNegative = 1.0
    # Learning rate after the warm-up: cosine (to 0 at the end), exponential, step or constant.
    schedule: Literal["cosine", "exponential", "step", "constant"] = "cosine"
    # Length of the linear warm-up from 0, epochs; at most a quarter of a run that it would fill.
    warmup_epochs: NonNegative = 1.0
    # Factor of the schedules exponential and step, above 0.
    decay_rate: Positive = 0.5
    # Epochs over which those two apply the factor once, above 0.
    decay_epochs: Positive = 10.0
    # Momentum of the moving average of the weights, which is measured and saved, 0 to 1; 0 = no
    # average.
    ema: Fraction = 0.998
    # Arithmetic of the layers; variables stay float32. On CPUs mixed_bfloat16 is faster with AMX or
    # AVX512-BF16 only.
    precision: Precision = "float32"
    # Epochs between two measurements on the validation split; 0 = only after the last.
    eval_every: NonNegativeInt = 5
    # Where the training is logged beside metrics.csv: tensorboard (in the run directory), wandb,
    # mlflow, which are extras of their own. An empty list logs nowhere else.
    logger: tuple[Logger, ...] = ("tensorboard",)

    def for_processes(self: Fit, count: int, *, has_records: bool = True) -> Fit:
        """The settings of a training by so many processes, without what names each of them.

        Args:
            count: of the processes.
            has_records: whether there are records to divide among them.

        Raises:
            ValueError: the processes cannot have equal parts of the batches; says what they need.
        """
        rule = f"a multiple of the {count} processes that share each batch"
        require(self.batch_size % count == 0, "train.batch_size", self.batch_size, rule)
        shares = self.record_shares
        if has_records:
            shares = count if shares == 1 else shares
            rule = f"a multiple of the {count} processes, each of which reads its own"
            require(shares % count == 0, "train.record_shares", shares, rule)
        names = ("coordinator", "num_processes", "process_id")
        alone: dict[str, Any] = {f.name: f.default for f in fields(self) if f.name in names}
        return replace(self, record_shares=shares, **alone)

    def for_sharing(self: Fit) -> Fit:
        """The settings without the devices and addresses that were computed on."""
        alone: dict[str, Any] = {f.name: f.default for f in fields(self) if f.name in _OF_MACHINE}
        return replace(self, **alone)

    def __post_init__(self) -> None:
        """Checks that what names the processes of a training goes together."""
        named = self.num_processes > 1 or self.process_id > 0
        has_address = self.coordinator not in ("", "auto")
        require(has_address or not named, "train.coordinator", self.coordinator, _ADDRESS)
        port = int(self.coordinator.rpartition(":")[2]) if has_address else 1
        rule = "HOST:PORT with a port of 65535 at most"
        require(port < 65_536, "train.coordinator", self.coordinator, rule)
        rule = "2 or more beside train.coordinator HOST:PORT"
        require(not has_address or named, "train.num_processes", self.num_processes, rule)
        rule = f"below train.num_processes, {self.num_processes}"
        require(self.process_id < self.num_processes, "train.process_id", self.process_id, rule)
        rule = f"a divisor of train.batch_size, {self.batch_size}"
        divides = self.batch_size % self.record_shares == 0
        require(divides, "train.record_shares", self.record_shares, rule)

    @property
    def on_virtual_devices(self) -> bool:
        """Whether the devices have to be made on the CPU, before anything is computed."""
        return self.devices.startswith(VIRTUAL_DEVICES)

    @property
    def fitting_warmup(self) -> float:
        """Length of the warm-up, epochs; shorter than asked for where the run would be over."""
        return self.warmup_epochs if self.warmup_epochs < self.epochs else self.epochs / 4

    def notes(self) -> list[str]:
        """Returns a line for each setting that is not taken at its word."""
        if self.fitting_warmup == self.warmup_epochs:
            return []
        return [
            f"train.warmup_epochs is {self.warmup_epochs:g} and train.epochs {self.epochs}: the "
            f"warm-up takes {self.fitting_warmup:g} epochs"
        ]


@section("train")
class TrainConfig(FitConfig):
    """The training run of a detector."""

    # Factor of the learning rate for the backbone, above 0 up to 1; below 1 for pretrained weights.
    backbone_rate: PositiveShare = 1.0
    # Sides of the training images as a share of the network input, above 0 up to 1, rounded to
    # multiples of 32. Below 1 where crops enlarge the objects in training (arXiv 1906.06423).
    image_scale: PositiveShare = 1.0
    # Validation frames drawn in TensorBoard after each measurement; 0 = none.
    tensorboard_images: NonNegativeInt = 4
    # Detectors to learn from (knowledge distillation), of the same classes and anchors, of any
    # width: runs, or weights that ship. The second, fourth, .. sees mirror images. Empty = none.
    teachers: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    # Weights of the teachers in the mean that is learnt, one each, above 0; empty = all alike.
    teacher_shares: tuple[Positive, ...] = ()
    # Factor of the teachers' loss, above 0 up to 1; that of the labels has 1 minus it.
    teacher_weight: PositiveShare = 1.0

    def for_sharing(self) -> TrainConfig:
        """The settings without devices and addresses; of teachers the names alone."""
        names = tuple(Path(teacher).name for teacher in self.teachers)
        return replace(super().for_sharing(), teachers=names)

    def notes(self) -> list[str]:
        """Returns a line for each setting that is not taken at its word."""
        lines = super().notes()
        if self.teachers and self.teacher_weight == 1:
            lines.append(
                "train.teacher_weight is 1: the teachers alone are learnt, and what the sections "
                "head and matching say of the loss of the labels is not used"
            )
        return lines

    def __post_init__(self) -> None:
        """Checks that each teacher has its share, and that a weight has a teacher."""
        super().__post_init__()
        rule = "1 without train.teachers"
        has_use = bool(self.teachers) or self.teacher_weight == 1
        require(has_use, "train.teacher_weight", self.teacher_weight, rule)
        rule = f"empty, or one for each of the {len(self.teachers)} train.teachers"
        rule = rule if self.teachers else "empty without train.teachers"
        fits = len(self.teacher_shares) in (0, len(self.teachers))
        require(fits, "train.teacher_shares", self.teacher_shares, rule)


class TrainedConfig(Protocol):
    """What the config of any training has, of a detector or of a classifier."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def train(self) -> FitConfig:
        """How it is trained."""
        ...

    @property
    def has_records(self) -> bool:
        """Whether the images are in records, which several processes divide among them."""
        ...
