"""Overlays, montages and picture files with numpy and OpenCV; plots with matplotlib."""

from mobilenetdet.drawing.anchor_matches import draw_matches
from mobilenetdet.drawing.box_style import PALETTE
from mobilenetdet.drawing.overlays import draw_comparison, draw_detections, draw_labels
from mobilenetdet.drawing.pictures import encode_jpeg, montage, write_image

__all__ = [
    "PALETTE",
    "draw_comparison",
    "draw_detections",
    "draw_labels",
    "draw_matches",
    "encode_jpeg",
    "montage",
    "write_image",
]
