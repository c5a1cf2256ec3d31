#!/usr/bin/env bash
# Checks the style and runs the tests, on TensorFlow and the model half on JAX as well.
# Arguments go to pytest: bash scripts/test.sh -m slow
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# tensorflow-addons, which some losses are tested against, is there for Python 3.10 and 3.11.
source scripts/setup_venv.sh dev,addons

export TF_CPP_MIN_LOG_LEVEL=2 NO_ALBUMENTATIONS_UPDATE=1
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
KERAS_BACKEND=tensorflow "$PYTHON" -m pytest "$@"
echo "the model half on JAX:"
# Exit code 5 means that the chosen tests are none of these.
KERAS_BACKEND=jax "$PYTHON" -m pytest tests/boxes tests/models tests/training/test_yellowfin.py "$@" || [ $? -eq 5 ]
