"""Divide KITTI's frames into train and val; `--help` says how."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where the package is not installed

from mobilenetdet.cli.main import run

if __name__ == "__main__":
    run("kitti_split")
