"""The summary line of the commands that write records."""

from __future__ import annotations

from mobilenetdet.findings import counted
from mobilenetdet.records.manifest import Manifest


def describe_conversion(
    manifest: Manifest, num_kept: int, seconds: float, *, content: str, skipped: str
) -> str:
    """Returns the summary line of a converted split.

    Args:
        manifest: of the split.
        num_kept: shards that were there before.
        seconds: that the conversion took.
        content: what the records hold, in words.
        skipped: name of the records that were left out, such as "damaged images".
    """
    size = f"{manifest.num_bytes / 1e6:,.1f} MB in {counted(manifest.num_shards, 'shard')}"
    line = f"{manifest.split}: {content}, {size}"
    left_out = f"; {manifest.num_skipped:,} {skipped} left out" if manifest.num_skipped else ""
    if num_kept == manifest.num_shards:
        return f"{line}; all complete and unchanged{left_out}"
    kept = f", {num_kept} of them kept from before" if num_kept else ""
    return f"{line}{kept} ({seconds:.2f} s){left_out}"
