#!/usr/bin/env bash
# Trains MobileNetV1 on CIFAR-10 and measures it on all 10,000 test images. Arguments go to
# mobilenetdet train_classifier:
#   bash scripts/train_mobilenet_on_cifar10.sh --lr 0.05 --batch_size 128 --epochs 60
#   bash scripts/train_mobilenet_on_cifar10.sh --load_pretrain --pretrain_path runs/earlier
#   bash scripts/train_mobilenet_on_cifar10.sh --data.data_dir FOLDER   (holds cifar-10-batches-py)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup_venv.sh

[[ "$*" == *--preset* ]] || set -- --preset cifar10 "$@"
exec "$PYTHON" -m mobilenetdet train_classifier "$@"
