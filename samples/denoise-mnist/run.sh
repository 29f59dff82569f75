#!/bin/sh
# What a denoising autoencoder learns at four levels of noise: run.sh [FOLDER]
set -eu
cd "$(dirname "$0")/../.."
out=${1:-runs/denoise-mnist-sample}
for level in 0 0.1 0.25 0.5; do
    tools/gen train dae-masking --noise-level $level --epochs 6 --seed 1 --out "$out/masking-$level"
done
tools/gen denoise "$out/masking-0" "$out/masking-0.1" "$out/masking-0.25" "$out/masking-0.5" -o "$out/levels.png"
