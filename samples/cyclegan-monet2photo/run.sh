#!/bin/sh
# Photos to Monet, from nothing to pictures: run.sh PHOTOS PAINTINGS [RUN]
set -eu
photos=$(cd "$1" && pwd)
paintings=$(cd "$2" && pwd)
cd "$(dirname "$0")/../.."
out=${3:-runs/cyclegan-monet2photo-sample}
tools/gen train cyclegan-small --a "$photos" --b "$paintings" --residual --cycle 5 --identity 0 --seed 1 --out "$out"
tools/gen translate "$out" "$photos" --to b -o "$out/monet"
tools/gen translate "$out" "$paintings" --to a -o "$out/photos"
tools/gen eval "$out"
