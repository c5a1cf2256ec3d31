"""Converts a tree of made-up images and trains on it, as many as one likes: rate and memory.

`imagenet_scale.py FOLDER NUM_IMAGES` fills FOLDER with train/ (1,000 class folders, as ImageNet
has) and val/ where they are not there, and prints a line a command: seconds, images a second, and
memory after a fifth, three fifths and nearly all of the time.
"""

import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np

NUM_CLASSES, SIDE = 1000, 64
# The narrowest network on the smallest input: what is left is reading, decoding and augmentation.
TRAIN = [
    "--preset", "imagenet", "--model.alpha", "0.25", "--data.image_size", "64", "--epochs", "1",
    "--batch_size", "100",
]  # fmt: skip


def make_images(folder: Path, num_images: int) -> None:
    """Writes JPEGs of noise under a class folder each in turn."""
    rng = np.random.default_rng(0)
    # Noise of its own for each image would take longer than all else; a roll of one is another.
    noise = rng.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    for index in range(num_images):
        own = folder / f"n{index % NUM_CLASSES:08d}"
        own.mkdir(parents=True, exist_ok=True)
        picture = np.roll(noise, (index % SIDE, index // SIDE % SIDE), (0, 1))
        cv2.imwrite(str(own / f"{index:07d}.JPEG"), picture)


def measure(what: str, num_images: int, *command: str) -> None:
    """Runs a command of the project and prints its rate and its memory."""
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "mobilenetdet", *command]) as process:
        samples: list[float] = []
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.25):
                samples.append(_megabytes(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
        stop.set()
        watcher.join()
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{what} ended with {status}")
    after = [samples[int(share * (len(samples) - 1))] for share in (0.2, 0.6, 0.95)]
    print(
        f"{what}: {num_images:,} images in {seconds:.1f} s, {num_images / seconds:,.0f}/s, "
        f"{', '.join(f'{size:,.0f}' for size in after)} MB, at most {max(samples):,.0f}",
        flush=True,
    )


def _megabytes(process_id: int) -> float:
    """Returns the memory of a process that is not shared out or given back, 0 at its end."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def main(folder: Path, num_images: int) -> None:
    """Makes the tree, converts it and trains for an epoch."""
    for split, count in (("train", num_images), ("val", NUM_CLASSES)):
        if not (folder / split).is_dir():
            make_images(folder / split, count)
    convert = ["imagenet_convert", "--dataset_root", str(folder), "--overwrite"]
    measure("conversion", num_images + NUM_CLASSES, *convert)
    data = ["--data.data_dir", str(folder / "tfrecord")]
    run_dir = ["--run_dir", str(folder / "run")]
    measure("training", num_images, "train_classifier", *TRAIN, *data, *run_dir)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
