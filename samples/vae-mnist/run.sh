#!/bin/sh
# The default VAE on MNIST, from nothing to pictures: about four minutes on two cores, build included.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-runs/vae-mnist-sample}
tools/gen train vae --data mnist --seed 1 --out "$out" --json >"$out.json"
tools/gen sample "$out" --grid 16x16 -o "$out/grid.png"
tools/gen interpolate "$out" -o "$out/interpolation.png"
tools/gen plot "$out" --kind histogram -o "$out/histogram.png"
cat "$out.json"
