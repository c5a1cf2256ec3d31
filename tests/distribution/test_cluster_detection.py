"""Several processes measure a split together, as one would."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mobilenetdet.distribution.cluster import Cluster
from mobilenetdet.inference.detect_records import detect_records


class Threads:
    """What processes talk through, between the threads of one process."""

    def __init__(self, count):
        self.barrier = threading.Barrier(count)
        self.said = [None] * count

    def gather(self, process_id, value):
        self.said[process_id] = value
        self.barrier.wait(timeout=30)  # a process that is asked more often than another: an error
        everyone = list(self.said)
        self.barrier.wait(timeout=30)
        return everyone


class Talking(Cluster):
    """A process that says how far it was whenever it waited for the others."""

    def through(self, threads):
        self.__dict__.update(threads=threads, waits=[], done=[])
        return self

    def gather(self, value):
        self.waits.append(self.done[-1] if self.done else 0)
        return self.threads.gather(self.process_id, value)


def run_together(processes, work):
    with ThreadPoolExecutor(len(processes)) as pool:
        return [done.result() for done in [pool.submit(work, one) for one in processes]]


@pytest.mark.parametrize(
    ("batch_size", "num_processes", "shares"),
    [
        (1, 2, [4, 4]),
        (3, 2, [3, 5]),  # 3, 3 and 2 frames
        (2, 3, [2, 2, 4]),
        (4, 3, [0, 4, 4]),
        (8, 3, [0, 0, 8]),  # one batch
        (20, 2, [0, 8]),
    ],
)
def test_each_detects_in_whole_batches_and_all_have_all(
    red_finder, batch_size, num_processes, shares
):
    model = red_finder(batch_size)
    records_dir = model.config.data.records_dir
    alone = list(detect_records(model, records_dir, "train"))
    threads = Threads(num_processes)
    processes = [Talking(i, num_processes).through(threads) for i in range(num_processes)]

    def detect(process):
        frames = process.detect_records(model, records_dir, "train", progress=process.done.append)
        return list(frames)

    for process, found in zip(processes, run_together(processes, detect), strict=True):
        # Once, and when its own share is done: shares differ in their number of batches.
        assert process.waits == [shares[process.process_id]]
        for (frame, detections), (expected_frame, expected) in zip(found, alone, strict=True):
            assert frame.frame_id == expected_frame.frame_id
            assert frame.encoded == expected_frame.encoded
            np.testing.assert_array_equal(detections.boxes_xyxy, expected.boxes_xyxy)
            np.testing.assert_array_equal(detections.scores, expected.scores)
    assert sum(shares) == len(alone) == 8
    assert any(len(found.scores) for _, found in alone)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_images_of_a_batch_come_back_in_their_order(size):
    threads = Threads(3)
    processes = [Talking(i, 3).through(threads) for i in range(3)]
    images = np.arange(size * 2.0).reshape(size, 2)
    for found in run_together(processes, lambda process: process.predict(np.sqrt, images)):
        np.testing.assert_array_equal(found, np.sqrt(images))
