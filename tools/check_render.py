#!/usr/bin/env python3
"""Renders MIDI files with `gen render` and with the program fluidsynth at the same settings, and compares the sound: level, onset, spectrum.

usage: check_render.py GEN FILE.mid… [--soundfont FILE]       needs fluidsynth (Debian: fluidsynth) and numpy

Both results are trimmed below -60 dB. Per file: difference of RMS (at most 0.5 dB), of the first onset (at most 128 samples), and of the spectrum (mean
over third octaves that are within 50 dB of the loudest, at most 1 dB). Exits with 1 when a file is beyond one of these."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import wave

import numpy as np

LIMITS = {"rms_db": 0.5, "onset": 128, "spectrum_db": 1.0}
GAIN, REVERB, CHORUS, RATE = 0.4, 0.2, 2.0, 44100


def read(path):
    with wave.open(str(path)) as f:
        return np.frombuffer(f.readframes(f.getnframes()), "<i2").reshape(-1, f.getnchannels()) / 32768


def trim(x):
    loud = np.flatnonzero(np.abs(x).max(1) > 1e-3)  # -60 dB
    return (x[loud[0]:loud[-1] + 1], int(loud[0])) if len(loud) else (x[:0], 0)


def bands(x):
    """Power in third octaves from 50 Hz on, dB."""
    n = 8192
    mono = np.pad(x.mean(1), (0, n))
    frames = np.lib.stride_tricks.sliding_window_view(mono, n)[::n // 2] * np.hanning(n)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(0)
    hz = np.fft.rfftfreq(n, 1 / RATE)
    edges = 50 * 2 ** (np.arange(27) / 3)
    return 10 * np.log10([power[(hz >= a) & (hz < b)].sum() + 1e-12 for a, b in zip(edges, edges[1:])])


def compare(ours, theirs):
    (a, start_a), (b, start_b) = trim(ours), trim(theirs)
    db_a, db_b = bands(a), bands(b)
    heard = db_b > db_b.max() - 50
    return {"rms_db": abs(10 * np.log10((a ** 2).mean() / (b ** 2).mean())), "onset": abs(start_a - start_b),
            "spectrum_db": float(np.abs((db_a - db_a.max()) - (db_b - db_b.max()))[heard].mean())}


def render(program, tune, soundfont, folder):
    ours, theirs = folder / "ours.wav", folder / "theirs.wav"
    words = [program, "render", tune, "-o", ours, "--gain", GAIN, "--reverb", REVERB, "--chorus", CHORUS, "--json", "--quiet"]
    made = json.loads(subprocess.run([str(w) for w in words + (["--soundfont", soundfont] if soundfont else [])], check=True, capture_output=True, text=True).stdout)
    subprocess.run(["fluidsynth", "-ni", "-q", "-g", str(GAIN), "-r", str(RATE), "-O", "s16", "-T", "wav", "-F", str(theirs), "-o", f"synth.reverb.level={REVERB}",
                    "-o", f"synth.chorus.level={CHORUS}", "-o", "synth.lock-memory=0", made["soundfont"], tune], check=True, capture_output=True)
    return made, compare(read(ours), read(theirs))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gen")
    parser.add_argument("tunes", nargs="+")
    parser.add_argument("--soundfont")
    options = parser.parse_args()
    bad = 0
    print(f"{'file':28} {'seconds':>8} {'x real time':>11} {'rms dB':>7} {'onset':>6} {'spectrum dB':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for tune in options.tunes:
            made, got = render(options.gen, tune, options.soundfont, pathlib.Path(folder))
            beyond = [k for k in LIMITS if not got[k] <= LIMITS[k]]
            bad += bool(beyond)
            print(f"{pathlib.Path(tune).name:28} {made['seconds']:8.1f} {made['seconds'] / made['cpu_seconds']:11.0f} {got['rms_db']:7.3f} {got['onset']:6} "
                  f"{got['spectrum_db']:11.3f}{'  beyond: ' + ', '.join(beyond) if beyond else ''}{'  (clipped)' if made['clipped'] else ''}", flush=True)
    print(f"{len(options.tunes)} files, {bad} beyond the limits {LIMITS}")
    return 1 if bad else 0


sys.exit(main())
