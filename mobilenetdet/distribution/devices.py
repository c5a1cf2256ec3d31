"""Several devices for one training: TensorFlow's MirroredStrategy, Keras' DataParallel on JAX.

With JAX they may be those of several processes, see `cluster.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from mobilenetdet.config.validation import VIRTUAL_DEVICES
from mobilenetdet.data.batch_share import BatchShare
from mobilenetdet.distribution.cluster import ALONE, Cluster
from mobilenetdet.distribution.connection import too_old_jax
from mobilenetdet.models.layers import nested_layers
from mobilenetdet.system.quiet import output_set_aside

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
        cluster: the processes whose devices they are.
    """

    names: tuple[str, ...]
    strategy: Any = None
    cluster: Cluster = ALONE

    @property
    def share(self) -> BatchShare:
        """The part of each batch that this process prepares."""
        return self.cluster.share(len(self.names))

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Scope in which to build the model that `fit` trains; what only measures stays outside."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Scope of what each process computes for itself, on its devices: none waits for another.

        A model that is to be used there is built there.
        """
        if self.cluster.is_alone:
            yield
            return
        together = keras.distribution.distribution()
        own = _of_this_process(self.names)
        parallel = keras.distribution.DataParallel(devices=list(own)) if len(own) > 1 else None
        keras.distribution.set_distribution(parallel)
        try:
            yield
        finally:
            keras.distribution.set_distribution(together)

    def divisible(self, batches: tf.data.Dataset, *, weigh: bool = False) -> tf.data.Dataset:
        """Makes every batch of a process that is alone one that its devices can divide.

        The last batch of an epoch is filled up with its own first images: for JAX to a multiple of
        the devices, for TensorFlow so that none is without an image. Where it has half as many
        images as there are devices, or a third, it has the loss of the batch as it was.

        Args:
            batches: of (images, targets).
            weigh: adds weights float32 [B]: 0 for the images that fill up, 1 for the others.
        """
        count = len(self.names)
        if count == 1:
            return batches
        import tensorflow as tf

        on_jax = keras.backend.backend() == "jax"

        @tf.autograph.experimental.do_not_convert  # it would write files, and this needs none
        def fill(*batch: Any) -> Any:
            """Repeats the first images of a batch where there are too few."""
            size = tf.shape(tf.nest.flatten(batch)[0])[0]
            places = tf.range(-(-size // count) * count if on_jax else tf.maximum(size, count))
            batch = tf.nest.map_structure(lambda values: tf.gather(values, places % size), batch)
            if isinstance(batch[-1], dict) and _DROPPED in batch[-1]:
                batch[-1][_DROPPED] *= tf.cast(places < size, tf.int32)  # counted once
            return (*batch, tf.cast(places < size, tf.float32)) if weigh else batch

        return batches.map(fill)


@contextlib.contextmanager
def use_devices(asked: str, batch_size: int, cluster: Cluster = ALONE) -> Iterator[Devices]:
    """Makes what is trained in the `with` block use several devices.

    Args:
        asked: "all", a number of accelerators, or "cpu:N" for N virtual devices on the CPU, which
            have to be made before the backend has computed anything.
        batch_size: images a step, of all devices together. "all" takes as many devices as divide
            it, and says so where some are left out.
        cluster: the processes that share each batch; `asked` is of each of them.

    Raises:
        ValueError: there are not so many devices, they cannot be made any more, or they do not
            divide the batch.
    """
    names = _find_devices(asked)
    if asked == "all":
        count = _largest_divisor(batch_size, len(names), processes=cluster.num_processes)
        names = names[:count] or names
    if not cluster.is_alone:
        cluster.agree({"the number of devices": len(names)})
        names = tuple(name for own in cluster.gather(names) for name in own)
    if batch_size % len(names):
        raise ValueError(
            f"train.batch_size is {batch_size}; it must be a multiple of the {len(names)} devices "
            "of train.devices"
        )
    if len(names) == 1:
        yield Devices(names)
    elif keras.backend.backend() == "jax":
        # Each process brings its part of a batch already.
        parallel = keras.distribution.DataParallel(devices=list(names), auto_shard_dataset=False)
        with parallel.scope():
            yield Devices(names, cluster=cluster)
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


def _largest_divisor(batch_size: int, most: int, *, processes: int = 1) -> int:
    """Returns the largest number of devices of each process, up to `most`, that divides a batch."""
    count = max((n for n in range(1, most + 1) if batch_size % (n * processes) == 0), default=1)
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
        return tuple(there) or _the_cpu(on_jax)
    if int(asked) > max(1, len(there)):
        raise ValueError(
            f"train.devices is {asked}, and {len(there)} GPU(s) are visible; take fewer, or try "
            f"it on the CPU with cpu:{asked}"
        )
    return tuple(there[: int(asked)]) or _the_cpu(on_jax)


def _the_cpu(on_jax: bool) -> tuple[str, ...]:
    """Returns the CPU as one device, which has another name in each process."""
    return _of_this_process(keras.distribution.list_devices("cpu"))[:1] if on_jax else ("cpu:0",)


def _of_this_process(names: Sequence[str]) -> tuple[str, ...]:
    """Returns those of JAX's devices that this process computes with."""
    import jax

    if not names or jax.process_count() == 1:
        return tuple(names)
    kind = names[0].partition(":")[0]
    own = {f"{device.platform}:{device.id}" for device in jax.local_devices(backend=kind)}
    return tuple(name for name in names if name in own)


def _tensorflow_gpus() -> Sequence[str]:
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU")]


def _jax_gpus() -> Sequence[str]:
    try:
        return _of_this_process(keras.distribution.list_devices("gpu"))
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

    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # it computes already, perhaps with enough of them
        pass
    except AttributeError as error:
        raise too_old_jax(error) from error
    return _of_this_process(keras.distribution.list_devices("cpu"))
