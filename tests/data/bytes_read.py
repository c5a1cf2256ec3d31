"""What each of several processes reads of the training records in an epoch.

`bytes_read.py RECORDS_DIR NUM_PROCESSES` prints a row for each process; on Linux.
"""

import sys
from dataclasses import replace
from pathlib import Path

from mobilenetdet.config.presets import make_preset
from mobilenetdet.data.batch_share import BatchShare, EpochPlan
from mobilenetdet.data.epoch_order import chain_epochs, untuned
from mobilenetdet.data.pipeline import plan_epochs
from mobilenetdet.records.shards import split_manifest


def bytes_so_far():
    (line,) = (x for x in Path("/proc/self/io").read_text().splitlines() if x.startswith("rchar"))
    return int(line.split()[1])


def epoch_bytes(plan: EpochPlan, shuffle_buffer):
    """Reads the records of an epoch, without decoding their images; returns bytes and records."""
    before = bytes_so_far()
    batches = chain_epochs(
        lambda epoch: plan.batches(0, epoch, shuffle_buffer=shuffle_buffer), 0, 1
    ).with_options(untuned())
    count = sum(len(records) for _, _, records in batches.as_numpy_iterator())
    return bytes_so_far() - before, count


def main(records_dir, num_processes):
    count = int(num_processes)
    config = make_preset("ssd_fpn")
    config = replace(
        config,
        data=replace(config.data, records_dir=records_dir),
        train=replace(config.train, batch_size=4 * count, record_shares=count),
    )
    manifest = split_manifest(records_dir, config.data.train_split)
    print(
        f"{manifest.num_frames} frames, {manifest.num_bytes:,} bytes, {manifest.num_shards} files"
    )
    for index in range(count):
        share = BatchShare(index, count, count)
        plan = plan_epochs(config, count).for_process(share)
        read, records = epoch_bytes(plan, config.data.shuffle_buffer)
        files = len(plan.shares[0].ranges)
        part = 100 * read / manifest.num_bytes
        print(f"process {index}: {read:,} bytes ({part:.1f} %), {records} records, {files} files")


if __name__ == "__main__":
    main(*sys.argv[1:])
