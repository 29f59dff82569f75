#!/usr/bin/env python3
"""`gen denoise` beside non-local means (scikit-image), on photos that the run was not trained on.

    python tools/check_denoise.py RUN FOLDER PHOTO … [--gen build/release/gen] [--levels 0.1,0.2]

Each photo is shrunk to 320 pixels on its shorter side, gets Gaussian noise of standard deviation `level` (of the range [0,1]; a fixed seed), is rounded to 8
bits as files are, and is cleaned by both. Non-local means is told the true level, which `gen` is not, and takes its better strength h of 0.6 and 0.8 times
that level (Buades et al. 2011, as scikit-image's documentation advises), patches of 5 and a search of 13 pixels. PSNR in dB and SSIM against the clean photo; the pictures stay in FOLDER.
"""
import argparse
import pathlib
import subprocess

import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import denoise_nl_means

SIDE = 320


def shrunk(path):
    picture = Image.open(path).convert("RGB")
    scale = SIDE / min(picture.size)
    return picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BICUBIC)


def of(path):
    return np.asarray(Image.open(path).convert("RGB"), np.float64) / 255


def save(pixels, path):
    Image.fromarray(np.uint8(np.rint(np.clip(pixels, 0, 1) * 255))).save(path)


def judge(clean, pixels):
    return peak_signal_noise_ratio(clean, pixels, data_range=1), structural_similarity(clean, pixels, data_range=1, channel_axis=2)


def non_local_means(noisy, clean, level):
    tries = [denoise_nl_means(noisy, patch_size=5, patch_distance=6, h=part * level, sigma=level, fast_mode=False, channel_axis=2)
             for part in (0.6, 0.8)]  # fmt: skip
    return max(tries, key=lambda pixels: judge(clean, pixels)[0])


def compare(photo, level, folder, args):
    noisy_file, gen_file, means_file = (folder / f"{photo.stem}-{level:g}-{what}.png" for what in ("noisy", "gen", "nlm"))
    clean = np.asarray(shrunk(photo), np.float64) / 255
    save(clean + level * np.random.default_rng(1).standard_normal(clean.shape), noisy_file)
    subprocess.run([args.gen, "denoise", args.run, noisy_file, "-o", gen_file], check=True, stdout=subprocess.DEVNULL)
    noisy = of(noisy_file)
    save(non_local_means(noisy, clean, level), means_file)
    return [judge(clean, pixels) for pixels in (noisy, of(means_file), of(gen_file))]


def main():
    words = argparse.ArgumentParser()
    words.add_argument("run")
    words.add_argument("folder", type=pathlib.Path)
    words.add_argument("photos", nargs="+", type=pathlib.Path)
    words.add_argument("--gen", default="build/release/gen")
    words.add_argument("--levels", default="0.1,0.2")
    args = words.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    print("| photo | noise | noisy | non-local means | gen |\n| --- | --- | --- | --- | --- |")
    for level in map(float, args.levels.split(",")):
        rows = []
        for photo in args.photos:
            rows.append(compare(photo, level, args.folder, args))
            print(f"| {photo.stem} | {level:g} | " + " | ".join(f"{psnr:.2f} dB, {ssim:.3f}" for psnr, ssim in rows[-1]) + " |", flush=True)
        mean = np.mean(rows, axis=0)
        print(f"| **mean** | {level:g} | " + " | ".join(f"{psnr:.2f} dB, {ssim:.3f}" for psnr, ssim in mean) + " |", flush=True)


if __name__ == "__main__":
    main()
