#!/usr/bin/env bash
# Trains a detector on the records of KITTI. Arguments go to scripts/train.py:
#   bash scripts/train_mobilenetdet_on_kitti.sh --train.epochs 60 --run_dir runs/longer
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup_venv.sh

if [ ! -f data/KITTI/tfrecord/train.json ] && [[ "$*" != *--data.records_dir* ]] &&
    [[ "$*" != *--help* ]]; then
    [ -f data/KITTI/ImageSets/train.txt ] || "$PYTHON" tools/kitti_split.py
    "$PYTHON" tools/tf_convert_data.py
fi
exec "$PYTHON" scripts/train.py "$@"
