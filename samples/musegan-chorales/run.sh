#!/bin/sh
# Bars of four voices out of noise, from nothing to samples: about a quarter of an hour of one core.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-runs/musegan-small-sample}
tools/gen train musegan-small --seed 1 --out "$out"
tools/gen eval "$out" --n 1000
tools/gen sample "$out" --n 16 -o "$out/pieces.png"
tools/gen sample "$out" --n 8 --seed 3 -o "$out/pieces.mid"
tools/gen render "$out/pieces.mid" -o "$out/pieces.ogg"
