#!/bin/sh
# Digits on demand from a conditional GAN, from nothing to pictures: run.sh [RUN]
set -eu
cd "$(dirname "$0")/../.."
out=${1:-runs/gan-mnist-sample}
tools/gen train gan-digits --seed 1 --out "$out"
tools/gen sample "$out" --grid 10x10 -o "$out/digits.png"
tools/gen sample "$out" --label 7 --grid 4x8 -o "$out/sevens.png"
tools/gen eval "$out" --n 10000
