"""Overlays, montages and picture files. numpy and OpenCV only."""

from mobilenetdet.draw.overlays import PALETTE, draw_comparison, draw_detections, draw_labels
from mobilenetdet.draw.pictures import encode_jpeg, montage, write_image

__all__ = [
    "PALETTE",
    "draw_comparison",
    "draw_detections",
    "draw_labels",
    "encode_jpeg",
    "montage",
    "write_image",
]
