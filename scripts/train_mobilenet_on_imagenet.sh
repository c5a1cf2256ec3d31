#!/usr/bin/env bash
# Trains MobileNetV1 on ImageNet and measures it on all validation images; converts data/imagenet
# first (class folders, or the archives of ILSVRC2012) if that was not done. Arguments go to
# mobilenetdet train_classifier:
#   bash scripts/train_mobilenet_on_imagenet.sh --model.alpha 0.5 --epochs 90 --batch_size 256
#   bash scripts/train_mobilenet_on_imagenet.sh --data.data_dir FOLDER   (records, also the tutorial's)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup_venv.sh

if [ ! -f data/imagenet/tfrecord/val.json ] && [[ "$*" != *--data.data_dir* ]] &&
    [[ "$*" != *--help* ]]; then
    "$PYTHON" -m mobilenetdet imagenet_convert
fi
[[ "$*" == *--preset* ]] || set -- --preset imagenet "$@"
exec "$PYTHON" -m mobilenetdet train_classifier "$@"
