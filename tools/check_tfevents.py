#!/usr/bin/env python3
"""Prints what the package `tensorboard` reads in an event file, one line per value; for a test, with $GEN_PYTHON.

    python tools/check_tfevents.py events.out.tfevents.1.gen
"""
import sys

from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader


def main(path):
    for event in LegacyEventFileLoader(path).Load():
        if event.HasField("file_version"):
            print("version", event.file_version)
        for value in event.summary.value:
            if value.HasField("image"):
                image = value.image
                kind = "png" if image.encoded_image_string.startswith(b"\x89PNG") else "not a png"
                print(event.step, value.tag, kind, image.height, image.width, image.colorspace)
            else:
                print(event.step, value.tag, value.simple_value)


if __name__ == "__main__":
    main(sys.argv[1])
