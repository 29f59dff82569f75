#!/bin/sh
# A model of letters that learns from gen's own manual: a few minutes on one core, build included.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-runs/text-manual-sample}
mkdir -p "$(dirname "$out")"
cat README.md docs/*.md docs/*/*.md >"$out.txt"
tools/gen train text --data "$out.txt" --epochs 20 --seed 1 --out "$out"
tools/gen eval "$out"
tools/gen sample "$out" --prime "A model is " --n 400 --temperature 0.7 --seed 1
