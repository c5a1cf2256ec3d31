#!/usr/bin/env bash
# Trains a detector on the records of KITTI. Arguments go to mobilenetdet train:
#   bash scripts/train_mobilenetdet_on_kitti.sh --train.epochs 60 --run_dir runs/longer
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup_venv.sh

if [ ! -f data/KITTI/tfrecord/train.json ] && [[ "$*" != *--data.records_dir* ]] &&
    [[ "$*" != *--help* ]]; then
    [ -f data/KITTI/ImageSets/train.txt ] || "$PYTHON" -m mobilenetdet kitti_split
    "$PYTHON" -m mobilenetdet tf_convert_data
fi
exec "$PYTHON" -m mobilenetdet train "$@"
