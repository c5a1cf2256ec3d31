#!/usr/bin/env bash
# From nothing to AP and overlays in one command: on KITTI where data/KITTI/training is present,
# otherwise on a data set that is rendered for the purpose.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup_venv.sh

SECONDS=0
step() { printf '\n[%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"; }

if [ -d data/KITTI/training ]; then
    root=data/KITTI run=runs/ssd_fpn
    preset=(--preset ssd_fpn)
else
    root=data/rendered run=runs/quickstart
    preset=(--preset quickstart)
    step "rendering a data set in KITTI's format"
    "$PYTHON" -m mobilenetdet kitti_synthesize --output_dir $root --num_frames 800 --seed 0
fi
step "splitting $root"
[ -f $root/ImageSets/train.txt ] || "$PYTHON" -m mobilenetdet kitti_split --kitti_root $root \
    $([ $root = data/rendered ] && echo --val_fraction 0.15)
step "converting to TFRecords"
"$PYTHON" -m mobilenetdet tf_convert_data --dataset_root $root --output_dir $root/tfrecord
step "training, evaluating and drawing"
"$PYTHON" -m mobilenetdet train "${preset[@]}" --run_dir $run "$@"
step "done: AP in $run/eval/metrics.json, pictures in $run/overlays/"
