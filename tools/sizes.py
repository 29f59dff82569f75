#!/usr/bin/env python3
"""The longest functions and files, the median function, and the change against main: for looking, not for failing.

    tools/sizes.py [how many]
"""
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ["core", "io", "kernels", "models", "tools", "tests"]
NAME = re.compile(r"(\w+)\(")


def functions(text):
    """(name, lines) of each function: in our format its body stands between lines that are exactly { and }."""
    name, start = None, None
    for number, line in enumerate(text.splitlines()):
        if start is None and line[:1].isalpha() and (found := NAME.search(line)):
            name = found[1]
        elif line == "{":
            start = number
        elif line == "}" and start is not None and name:
            yield name, number - start - 1
            name, start = None, None


def change():
    """Lines added and removed in the work tree against main, by folder; '' when git has no main."""
    git = subprocess.run(["git", "diff", "--numstat", "main", "--", *FOLDERS], cwd=ROOT, capture_output=True, text=True)
    rows = [line.split("\t") for line in git.stdout.splitlines() if not line.startswith("-")]
    if git.returncode or not rows:
        return "no change against main"
    added, removed = (sum(int(row[i]) for row in rows) for i in (0, 1))
    return f"against main: {added} lines added, {removed} removed ({added - removed:+d})"


def main():
    top = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    files, all_functions = [], []
    for path in sorted(p for f in FOLDERS for p in (ROOT / f).rglob("*.[ch]")):
        text, name = path.read_text(), path.relative_to(ROOT).as_posix()
        files.append((text.count("\n"), name))
        all_functions += [(lines, function, name) for function, lines in functions(text)]
    lengths = sorted(lines for lines, _, _ in all_functions)
    print(f"{len(lengths)} functions: median {statistics.median(lengths):.0f} lines, nine of ten at most {lengths[len(lengths) * 9 // 10]}")
    for lines, function, name in sorted(all_functions, reverse=True)[:top]:
        print(f"{lines:6d}  {function}  {name}")
    print(f"{len(files)} files, {sum(lines for lines, _ in files)} lines")
    for lines, name in sorted(files, reverse=True)[:top]:
        print(f"{lines:6d}  {name}")
    for folder in FOLDERS:
        print(f"{sum(lines for lines, name in files if name.startswith(folder + '/')):6d}  {folder}/")
    print(change())


main()
