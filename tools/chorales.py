#!/usr/bin/env python3
"""Makes samples/data/chorales: Bach's four-part chorales as small MIDI files, from the corpus of the Python package music21.

    python -m venv venv && venv/bin/pip install music21==10.5.1
    venv/bin/python tools/chorales.py samples/data/chorales

Of each encoding only the notes are taken: pitch, start and length of each, the metre and the length of the upbeat. Left out are
encodings with a notice that reserves rights in electronic formats (Humdrum's YEM lines), pieces that are not of four voices
(tenor and bass with instruments, variants with more parts), and the second of two pieces that are the same notes, also in another key. Which pieces
train, validate and test is a function of the piece's number alone, so that no piece is cut.
"""
import pathlib
import re
import sys
import zlib

import music21

TICKS = 24  # in a quarter note: whole for sixteenths, thirty-seconds and triplets, and a pause rarely takes two bytes
VELOCITY, TEMPO_US, CHOIR = 80, 750_000, 52
VOICES = ("Soprano", "Alto", "Tenor", "Bass")


def vlq(n):
    out = [n & 127]
    while n := n >> 7:
        out.append(n & 127 | 128)
    return bytes(out[::-1])


def track(events):
    """[(ticks, order, bytes)] as a chunk; what repeats a status byte leaves it out."""
    out, now, status = b"", 0, None
    for ticks, _, data in sorted(events):
        out += vlq(ticks - now)
        now = ticks
        out += data[1:] if data[0] == status else data
        status = data[0] if data[0] < 0xF0 else None
    out += b"\0\xff\x2f\0"
    return b"MTrk" + len(out).to_bytes(4, "big") + out


def meta(kind, data):
    return bytes([0xFF, kind]) + vlq(len(data)) + data


def midi(voices, metre):
    """Format 1: metre and tempo, then a track a voice. voices: [[(start, ticks, pitch)]]"""
    beats, of = metre
    head = [(0, 0, meta(0x51, TEMPO_US.to_bytes(3, "big"))), (0, 1, meta(0x58, bytes([beats, of.bit_length() - 1, 24, 8])))]
    tracks = [track(head)]
    for channel, (name, notes) in enumerate(zip(VOICES, voices)):
        events = [(0, 0, meta(3, name.encode())), (0, 1, bytes([0xC0 | channel, CHOIR]))]
        for start, ticks, pitch in notes:
            events.append((start, 3, bytes([0x90 | channel, pitch, VELOCITY])))
            events.append((start + ticks, 2, bytes([0x90 | channel, pitch, 0])))  # velocity 0 ends it: the status byte stays
        tracks.append(track(events))
    return b"MThd" + bytes([0, 0, 0, 6, 0, 1, 0, len(tracks)]) + TICKS.to_bytes(2, "big") + b"".join(tracks)


def in_ticks(quarters):
    """None where no number of ticks is meant: an ornament, or a mistake."""
    ticks = round(float(quarters) * TICKS)
    return ticks if abs(float(quarters) * TICKS - ticks) < 1e-3 else None


def notes_of(part, before):
    """Tied notes are one; before: ticks of the bar that the upbeat leaves empty. None when the voice is not one of single notes."""
    notes = []
    for n in part.stripTies().flatten().notes:
        start, ticks = in_ticks(n.offset), in_ticks(n.quarterLength)
        if not n.isNote or start is None or ticks is None:
            return None
        if ticks:
            notes.append((start + before, ticks, n.pitch.midi))
    return notes if all(a[0] + a[1] <= b[0] for a, b in zip(notes, notes[1:])) else None


def convert(score):
    """(voices, metre) or None."""
    parts = list(score.parts)
    if len(parts) != 4:
        return None
    metres = list(parts[0].flatten().getElementsByClass("TimeSignature"))
    if not metres or len({m.ratioString for m in metres}) != 1 or metres[0].denominator not in (2, 4, 8):
        return None  # also pieces whose metre changes: their bars could not be counted
    bars = list(parts[0].getElementsByClass("Measure"))
    length, first = in_ticks(metres[0].barDuration.quarterLength), in_ticks(bars[0].duration.quarterLength)
    if not length or first is None or first > length:
        return None
    voices = [notes_of(p, (length - first) % length) for p in parts]
    if not all(voices):
        return None
    means = [sum(p for _, _, p in v) / len(v) for v in voices]
    if means != sorted(means, reverse=True):
        return None
    return voices, (metres[0].numerator, metres[0].denominator)


def shape(voices):
    """The same for the same notes in another key."""
    key = voices[0][0][2]
    return tuple(tuple((s, t, p - key) for s, t, p in v) for v in voices)


def split(name):
    tenth = zlib.crc32(name.encode()) % 10
    return {0: "test", 1: "valid"}.get(tenth, "train")


def main(folder):
    out, seen, counts = pathlib.Path(folder), set(), {}
    for path in sorted(music21.corpus.getComposer("bach")):
        name = re.sub(r"\W+", "-", path.stem).lower()
        if not re.fullmatch(r"bwv[\d-]+[a-z]?", name) or path.suffix != ".mxl":
            continue
        try:
            found = convert(music21.corpus.parse(path))
        except (music21.exceptions21.Music21Exception, ZeroDivisionError) as e:
            print(f"{name}: {e}")
            continue
        if not found or shape(found[0]) in seen:
            print(f"{name}: {'again' if found else 'not four voices in one metre'}")
            continue
        seen.add(shape(found[0]))
        place = out / split(name)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.mid").write_bytes(midi(*found))
        counts[place.name] = counts.get(place.name, 0) + 1
    print(counts)


if __name__ == "__main__":
    main(sys.argv[1])
