"""tools/bench --device cuda: training steps on a GPU beside PyTorch: eager, compiled in three modes, and the whole step captured by hand as a CUDA graph, each in fp32,
TF32 and bfloat16; only rows of the same precision are compared. Writes the section "On a GPU" of docs/benchmarks.md.

Before any time is taken, small trainings on the GPU must agree with double precision (gen check), the golden curves must hold, and both sides must use the same
cuDNN. Then all contenders of a workload and precision stay alive and are measured in turns, round by round, a process each.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODES = ["eager", "default", "reduce-overhead", "max-autotune", "graph"]
PRECISIONS = ["fp32", "tf32", "bf16"]
SECTION = "\n## On a GPU\n"  # goes before the section Scaling


def output(*command, **named):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, **named).stdout


def gpu_or_exit():
    line = next(line for line in output("build/release/gen", "devices").splitlines() if line.startswith("cuda"))
    if "not here" in line:
        sys.exit(f"nothing can be measured: {line}")
    return line.split(maxsplit=1)[1]


def gate(environment):
    for precision in PRECISIONS:
        check = subprocess.run(["build/release/gen", "check", "--device", "cuda", "--precision", precision], cwd=ROOT, capture_output=True, text=True)
        if check.returncode:
            sys.exit(f"the GPU does not compute what it should in {precision}, so no time is printed:\n{check.stdout}{check.stderr}")
    golden = subprocess.run(["build/release/gen-test", "test_golden"], cwd=ROOT, env={**environment, "GEN_TEST_DEVICE": "cuda"}, capture_output=True, text=True)
    if golden.returncode:
        sys.exit("gen and PyTorch do not agree, so no time is printed:\n" + golden.stdout[-2000:])


class Peer:
    """A PyTorch process that measures when asked; not alive where PyTorch refuses the mode."""

    def __init__(self, python, workload, mode, precision):
        command = [python, "tools/peers.py", workload, mode, "--device", "cuda", "--precision", precision]
        began = time.perf_counter()
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.alive = bool(self.process.stdout.readline())  # "ready", after the first steps
        self.first_s = time.perf_counter() - began

    def window(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def gen_window(workload, precision, seconds):
    return json.loads(output("build/release/gen", "bench", workload, "--json", "--device", "cuda", "--precision", precision, "--seconds", str(seconds)))


def measure(workload, precision, python, args):
    """The answers of each contender, round by round: {mode: [..]}."""
    print(workload, precision, file=sys.stderr)
    peers = {mode: Peer(python, workload, mode, precision) for mode in MODES}
    answers = {mode: [] for mode in [*MODES, "gen"]}
    for _ in range(args.rounds):
        for mode, peer in peers.items():
            if peer.alive:
                answers[mode].append(peer.window(args.seconds))
        answers["gen"].append(gen_window(workload, precision, args.seconds))
    for peer in peers.values():
        peer.close()
    return answers


def same_cudnn(answers, device):
    version = next(a["cudnn"] for mode in MODES for a in answers[mode])
    name = f"cuDNN {version // 10000}.{version // 100 % 100}.{version % 100}"
    if name not in device:
        sys.exit(f"PyTorch uses {name}, gen: {device}; set GEN_CUDA_LIBRARIES or VIRTUAL_ENV so that both use one")


def row(workload, precision, answers):
    times = {mode: statistics.median(a["ms"] for a in of) for mode, of in answers.items() if of}
    best = min(ms for mode, ms in times.items() if mode != "gen")
    spread = [a["ms"] for a in answers["gen"]]
    cells = [f"{times[m]:.3f}" if m in times else "not supported" for m in MODES]
    cells += [f"**{times['gen']:.3f}** ({min(spread):.3f} to {max(spread):.3f})", f"**{best / times['gen']:.2f}×**"]
    cells.append(f"{answers['gen'][0]['gflop'] / times['gen'] * 1e-3:.1f}")
    return f"| {workload} | {precision} | " + " | ".join(cells) + " |"


def table(python, args, workloads, device):
    rows = []
    for workload in workloads:
        for precision in PRECISIONS:
            answers = measure(workload, precision, python, args)
            same_cudnn(answers, device)
            rows.append(row(workload, precision, answers))
    driver = output("nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm,power.limit", "--format=csv,noheader").splitlines()[0]
    return "\n".join([
        f"`tools/bench --device cuda`: the median of {args.rounds} windows of {args.seconds:g} s, ms a training step, both sides in turns, NHWC. {device}; {driver}; {time.strftime('%Y-%m-%d')}.",
        "",
        "| workload | precision | eager | compiled: default | reduce-overhead | max-autotune | CUDA graph by hand | gen | best of PyTorch / gen | TFLOP/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
    ])  # fmt: skip


def run(python, args, workloads, environment):
    device = gpu_or_exit()
    gate(environment)
    return table(python, args, workloads, device)
