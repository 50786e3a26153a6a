#!/bin/sh
# Measures the model of the real size (random weights) on this machine: seconds per guided step, for
# decoding and for the text, and peak memory; float32 and bfloat16, one and two threads.
#
#   tests/bench/real_model.sh BUILD_FOLDER [SIDE ...]
set -e
build=$1
shift
ninja -C "$build" tests/bench/write_real_snapshot tests/bench/bench_real_model
snapshot=$build/real-snapshot
models=$(cd "$(dirname "$0")/../../models" && pwd)
export OMP_WAIT_POLICY=passive LIVEPEER_UPSCALE_MODELS="$models"
test -f "$snapshot/model_index.json" || "$build/tests/bench/write_real_snapshot" "$snapshot"
for precision in float32 bfloat16; do
  for threads in 1 2; do
    "$build/tests/bench/bench_real_model" "$snapshot" $precision $threads "$@"
  done
done
