#!/usr/bin/env bash
# All that is to be known of a GPU, in about twelve minutes: bash benchmarks/on_gpu.sh OUT
#
# First whether results are right there, then the figures of RESULTS.md: a training step beside
# PyTorch (where the Python that is named by TORCH_PYTHON, or this one, has it) and its kernels
# by kind, the loss alone, the ways of a weight gradient. Each part has a file of its own in
# OUT, written as it goes; a part that fails or takes too long does not keep the next from
# running. PARTS names those to run, a pattern: PARTS='correct|step_321'.
set -u
cd "$(dirname "$0")/.."
out=${1:?bash benchmarks/on_gpu.sh OUT}
mkdir -p "$out"
out=$(realpath "$out")
python=${PYTHON:-python}
export PYTHONPATH=$PWD XLA_PYTHON_CLIENT_PREALLOCATE=false
against=()
"${TORCH_PYTHON:-$python}" -c "import torch" 2>/dev/null &&
  against=(--against torch --torch-python "${TORCH_PYTHON:-$python}")

part() { # name, seconds, command
  local name=$1 limit=$2
  shift 2
  [[ $name =~ ^(${PARTS:-.*})$ ]] || return 0
  echo "== $name"
  timeout "$limit" "$@" 2>&1 | tee "$out/$name.txt" | tail -n 40
  echo "exit status ${PIPESTATUS[0]}" | tee -a "$out/$name.txt"
}

part devices 60 "$python" -c "import jax; print(jax.__version__, jax.devices())"
part correct 180 "$python" -m pytest -q -x -p no:cacheprovider \
  tests/lal_jax/test_window_losses_kernel.py tests/train/training/test_compiler.py \
  tests/models/test_dilated.py
export LAL_JAX_COMPILER=fused # of the steps below
part step_321 240 "$python" benchmarks/train_speed.py --rows 321x16 321x2 \
  --json "$out/train_speed.jsonl" "${against[@]}"
part profile 90 "$python" benchmarks/profile_step.py --row 321x16
part step_513 150 "$python" benchmarks/train_speed.py --rows 513x16 \
  --json "$out/train_speed.jsonl" "${against[@]}"
part loss_speed 120 "$python" benchmarks/loss_speed.py
part dilated 60 "$python" benchmarks/dilated.py --dtype bfloat16
