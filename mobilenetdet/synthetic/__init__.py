"""A rendered data set in KITTI's layout and format, for trying everything without KITTI.

A street with cars, vans, pedestrians and cyclists as solid shapes, seen through KITTI's camera.
Every label column and the calibration are true to what was drawn. `render_frame` makes one frame
in memory, `synthesize` a data set on disk.
"""

from mobilenetdet.synthetic.labelling import RenderedFrame
from mobilenetdet.synthetic.render import render_frame
from mobilenetdet.synthetic.writer import synthesize

__all__ = ["RenderedFrame", "render_frame", "synthesize"]
