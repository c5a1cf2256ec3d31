#!/usr/bin/env bash
# Checks the style and runs the tests, on TensorFlow and the model half on JAX as well.
# Arguments go to pytest: bash scripts/test.sh -m slow
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV_EXTRA=dev source scripts/setup_venv.sh
# tensorflow-addons, which some losses are tested against, is there for Python 3.10 and 3.11. Without
# its own dependencies, which would bring an old tyro.
addons=$(sed -n 's/^ *\(tfa-nightly==[^;]*\);.*/\1/p' setup.cfg)
if "$PYTHON" - <<'EOF'
import sys, importlib.util
sys.exit(sys.version_info >= (3, 12) or importlib.util.find_spec("tensorflow_addons") is not None)
EOF
then
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$PYTHON" --no-deps "$addons"
    else
        "$PYTHON" -m pip install --quiet --quiet --disable-pip-version-check --no-deps "$addons"
    fi
fi

export TF_CPP_MIN_LOG_LEVEL=2 NO_ALBUMENTATIONS_UPDATE=1
# Many tests start programs, and each would compile the package anew.
unset PYTHONDONTWRITEBYTECODE
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
# All at once: each of the three processes keeps half a core busy. A file's tests stay together,
# since they share what they have trained. `-n 0` among the arguments runs them in one process.
jax_log=$(mktemp)
KERAS_BACKEND=jax "$PYTHON" -m pytest -p no:cacheprovider \
    tests/boxes tests/models tests/inference/test_detection_model.py \
    --ignore=tests/boxes/test_numpy_postprocess.py --ignore=tests/models/test_addons_losses.py \
    --ignore=tests/models/test_weight_file.py --ignore=tests/models/test_weights.py \
    tests/classification/test_model.py tests/classification/test_loss.py \
    tests/training/test_yellowfin.py tests/training/test_yellowfin_fit.py \
    tests/training/test_exact_resume.py tests/distribution/test_devices.py "$@" >"$jax_log" 2>&1 &
jax=$!
trap 'kill $jax 2>/dev/null || true; rm -f "$jax_log"' EXIT
status=0
KERAS_BACKEND=tensorflow "$PYTHON" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@" || status=$?
jax_status=0
wait $jax || jax_status=$?
echo "the model half on JAX:"
cat "$jax_log"
# Exit code 5 means that the chosen tests are none of these.
[ $status -ne 0 ] || [ $jax_status -eq 5 ] || status=$jax_status
exit $status
