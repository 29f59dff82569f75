#!/bin/sh
# Which keys sound next, frame by frame: about ten minutes on one core, build included.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-runs/poly-chorales-sample}
tools/gen train poly-lstm --epochs 30 --seed 1 --out "$out"
tools/gen eval "$out" --baseline bernoulli
tools/gen sample "$out" --n 256 --tempo 72 --seed 2 -o "$out/frames.mid"
tools/gen render "$out/frames.mid" -o "$out/frames.ogg"
