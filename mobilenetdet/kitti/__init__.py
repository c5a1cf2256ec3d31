"""The KITTI format and its evaluation protocol."""
