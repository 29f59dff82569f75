#!/usr/bin/env python3
"""The table of models in README.md is what `gen list --markdown` prints: compares them, or writes it with --write.

  tools/readme.py build/release/gen [--write]
"""
import pathlib
import re
import subprocess
import sys

readme = pathlib.Path(__file__).resolve().parent.parent / "README.md"
table = subprocess.run([sys.argv[1], "list", "--markdown"], check=True, capture_output=True, text=True).stdout
text = readme.read_text()
fresh, n = re.subn(r"(<!-- gen list --markdown -->\n).*?(<!-- end -->)", lambda m: m[1] + table + m[2], text, flags=re.S)
if n != 1:
    sys.exit("README.md has no table between <!-- gen list --markdown --> and <!-- end -->")
if "--write" in sys.argv:
    readme.write_text(fresh)
elif fresh != text:
    sys.exit("README.md's table of models differs from `gen list --markdown`: run tools/readme.py build/release/gen --write")
