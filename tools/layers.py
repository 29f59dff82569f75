#!/usr/bin/env python3
"""Checks who includes whom: each folder knows only the folders below it. Prints file, line and rule of every include that breaks one."""
import pathlib
import re
import sys

# folder: (what its files may include, the rule in words). The longest folder that a file lies in decides; a name that ends in .h is that file alone.
RULES = {
    "core": (["core"], "core includes only itself"),
    "io": (["io", "core/gen.h", "core/option.h", "core/event.h", "core/rng.h"], "io knows bytes, not graphs: of core only gen, option, event and rng"),
    "kernels": (["kernels", "core/gen.h", "core/op.h", "core/op_list.h", "core/device.h", "core/thread.h", "core/rng.h"],
                "kernels know arrays, not graphs: of core only gen, op, device, thread and rng"),
    "models": (["models", "core", "io"], "models include core and io, never kernels"),
    "tools/cli": (["tools/cli", "core", "io", "kernels/devices.h", "models"], "the command line joins all folders; of kernels it sees devices.h"),
    "tests": (["tests", "core", "io", "kernels", "models", "tools/cli"], "tests include any folder"),
}
EXCEPTIONS = {"tests/installed/fit.c"}  # is outside: it includes the installed headers
INCLUDE = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)')


def broken_rule(path, quote, target, root):
    """The rule that `#include target` in path breaks, or None."""
    folder = max((f for f in RULES if path.startswith(f + "/")), key=len)
    allowed, words = RULES[folder]
    if quote == "<":
        return f'our own headers are included with quotes, as "{target}"' if (root / target).exists() else None
    if not (root / target).exists():
        return "includes are written from the root, as \"core/graph.h\""
    return None if any(target == a or target.startswith(a + "/") for a in allowed) else words


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    bad = files = 0
    for folder in RULES:
        for path in sorted(p for p in (root / folder).rglob("*") if p.suffix in (".c", ".h", ".cu", ".kh")):
            name = path.relative_to(root).as_posix()
            files += name not in EXCEPTIONS
            for number, line in enumerate(path.read_text().splitlines() if name not in EXCEPTIONS else [], 1):
                include = INCLUDE.match(line)
                rule = include and broken_rule(name, include[1], include[2], root)
                if rule:
                    print(f"{name}:{number}: #include {include[2]}: {rule}")
                    bad += 1
    print(f"{files} files, {bad} includes that break a rule")
    return 1 if bad else 0


sys.exit(main())
