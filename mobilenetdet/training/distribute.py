"""Several devices for one training: TensorFlow's MirroredStrategy, Keras' DataParallel on JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from mobilenetdet.config.validation import VIRTUAL_DEVICES
from mobilenetdet.models.layers import nested_layers
from mobilenetdet.quiet import output_set_aside

if TYPE_CHECKING:
    import tensorflow as tf

# Of the targets of detectors: boxes that the augmentation has dropped, by image.
_DROPPED = "num_dropped"


@dataclass(frozen=True)
class Devices:
    """The devices of a training.

    Attributes:
        names: one a device, as the backend calls it.
        strategy: TensorFlow's, where there are several.
    """

    names: tuple[str, ...]
    strategy: Any = None

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Scope in which to build the model that `fit` trains; what only measures stays outside."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def divisible(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Makes every batch one that the devices can divide.

        The last batch of an epoch is filled up with its own first images: for JAX to a multiple of
        the devices, for TensorFlow so that none is without an image. Where it has half as many
        images as there are devices, or a third, it has the loss of the batch as it was.
        """
        count = len(self.names)
        if count == 1:
            return batches
        import tensorflow as tf

        on_jax = keras.backend.backend() == "jax"

        def fill(*batch: Any) -> Any:
            """Repeats the first images of a batch where there are too few."""
            size = tf.shape(tf.nest.flatten(batch)[0])[0]
            places = tf.range(-(-size // count) * count if on_jax else tf.maximum(size, count))
            batch = tf.nest.map_structure(lambda values: tf.gather(values, places % size), batch)
            if isinstance(batch[-1], dict) and _DROPPED in batch[-1]:
                batch[-1][_DROPPED] *= tf.cast(places < size, tf.int32)  # counted once
            return batch

        return batches.map(fill)


@contextlib.contextmanager
def use_devices(asked: str, batch_size: int) -> Iterator[Devices]:
    """Makes what is trained in the `with` block use several devices.

    Args:
        asked: "all", a number of accelerators, or "cpu:N" for N virtual devices on the CPU, which
            have to be made before the backend has computed anything.
        batch_size: images a step, of all devices together. "all" takes as many devices as divide
            it, and says so where some are left out.

    Raises:
        ValueError: there are not so many devices, they cannot be made any more, or they do not
            divide the batch.
    """
    names = _find_devices(asked)
    if asked == "all":
        names = names[: _largest_divisor(batch_size, len(names))] or names
    if batch_size % len(names):
        raise ValueError(
            f"train.batch_size is {batch_size}; it must be a multiple of the {len(names)} devices "
            "of train.devices"
        )
    if len(names) == 1:
        yield Devices(names)
    elif keras.backend.backend() == "jax":
        with keras.distribution.DataParallel(devices=list(names)).scope():
            yield Devices(names)
    else:
        import tensorflow as tf

        yield Devices(names, tf.distribute.MirroredStrategy(list(names)))


def synchronise_batch_norm(model: keras.Model) -> None:
    """Makes batch normalisation measure the whole batch instead of a replica's part of it.

    On TensorFlow only: on JAX it always does.
    """
    if keras.backend.backend() != "tensorflow":
        return
    for layer in nested_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _largest_divisor(batch_size: int, most: int) -> int:
    """Returns the largest number of devices, up to `most`, that divides a batch."""
    count = max((n for n in range(1, most + 1) if batch_size % n == 0), default=1)
    if count < most:
        print(f"{count} of {most} devices take part, since train.batch_size is {batch_size}")
    return count


def _find_devices(asked: str) -> tuple[str, ...]:
    on_jax = keras.backend.backend() == "jax"
    if asked.startswith(VIRTUAL_DEVICES):
        count = int(asked.removeprefix(VIRTUAL_DEVICES))
        there = _jax_cpus(count) if on_jax else _tensorflow_cpus(count)
        if len(there) < count:
            raise ValueError(
                f"train.devices is {asked}, and {keras.backend.backend()} computes already, with "
                f"{len(there)} device(s) on the CPU; train in a process of its own"
            )
        return tuple(there[:count])
    there = _jax_gpus() if on_jax else _tensorflow_gpus()
    if asked == "all":
        return tuple(there) or ("cpu:0",)
    if int(asked) > max(1, len(there)):
        raise ValueError(
            f"train.devices is {asked}, and {len(there)} GPU(s) are visible; take fewer, or try "
            f"it on the CPU with cpu:{asked}"
        )
    return tuple(there[: int(asked)]) or ("cpu:0",)


def _tensorflow_gpus() -> Sequence[str]:
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU")]


def _jax_gpus() -> Sequence[str]:
    try:
        return keras.distribution.list_devices("gpu")
    except RuntimeError:  # JAX was installed without
        return ()


def _tensorflow_cpus(count: int) -> Sequence[str]:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    with contextlib.suppress(RuntimeError):  # it computes already, perhaps with enough of them
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        tf.config.set_logical_device_configuration(cpu, parts)
    with output_set_aside(2):  # it begins now, and says which instructions the processor has
        return [device.name for device in tf.config.list_logical_devices("CPU")]


def _jax_cpus(count: int) -> Sequence[str]:
    import jax

    with contextlib.suppress(RuntimeError):  # it computes already, perhaps with enough of them
        jax.config.update("jax_num_cpu_devices", count)
    return keras.distribution.list_devices("cpu")
