"""Object detection on KITTI with MobileNetV1."""

__version__ = "0.1.0"
