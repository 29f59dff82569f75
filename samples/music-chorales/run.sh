#!/bin/sh
# A model that composes, from nothing to a piece: about twenty minutes on one core, build included.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-runs/music-chorales-sample}
tools/gen train music --seed 1 --out "$out"
tools/gen eval "$out" --pieces 20 --baseline kneser-ney --seed 1
tools/gen compose "$out" --bars 16 --tempo 84 --seed 3 -o "$out/piece.mid" --wav "$out/piece.ogg" --png "$out/piece.png"
