#!/usr/bin/env python3
"""Our kernels against onnxruntime: the network alone, one thread each, in turn, processor time.

usage: kernels.py [--watchpost BINARY] [--rounds N] [--runs N] [--isa NAME] [--float] [--json FILE]

A round measures one after the other on the same model: `watchpost models bench` and onnxruntime with the float file,
each the median of --runs runs in a process of its own. The ratio of a round is ours over theirs; printed are the
median of all rounds and their range. Both see ramps; what a network costs does not depend on the picture. Decoding,
letterbox and suppression are in neither.

The folder that WATCHPOST_MODELS names holds yolox_nano.onnx. --isa measures other kernels than the best
(WATCHPOST_ISA), --float our float networks as well.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is written beside this file
from run import HERE, python  # noqa: E402

ROOT = HERE.parents[1]
WARM_UP = 5
# Of the pictures that both networks read.
SIDE = 416


def peer(model, runs):
    """Runs in a process of its own, with the peer's packages: the median of a run in microseconds."""
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    side = numpy.arange(SIDE)
    ramps = (numpy.add.outer(side, side) // 3 % 256).astype(numpy.float32)
    picture = {session.get_inputs()[0].name: numpy.broadcast_to(ramps, (1, 3, SIDE, SIDE)).copy()}
    took = []
    for _ in range(WARM_UP + runs):
        start = time.process_time_ns()
        session.run(None, picture)
        took.append((time.process_time_ns() - start) / 1000)
    print(json.dumps({"cpu_us": statistics.median(took[WARM_UP:]), "version": onnxruntime.__version__}))


def answer(command, env=None):
    done = subprocess.run(list(map(str, command)), env=env, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"kernels.py: exit status {done.returncode} of {' '.join(map(str, command))}")
    return json.loads(done.stdout)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    models = Path(os.environ.get("WATCHPOST_MODELS", HERE.parents[2] / "shared" / "models"))
    options.add_argument("--watchpost", type=Path, default=ROOT / "target" / "release" / "watchpost")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--runs", type=int, default=60)
    options.add_argument("--isa", default="", help="kernels to measure instead of the best, e.g. avx2")
    options.add_argument("--float", action="store_true", help="our float networks as well")
    options.add_argument("--json", type=Path, help="write everything measured there")
    args = options.parse_args()
    known = {"nanodet-g": ROOT / "models" / "nanodet-g"}  # a folder: it is not in the binary
    files = {"yolox-nano": models / "yolox_nano.onnx", "nanodet-g": ROOT / "models" / "nanodet-g" / "nanodet-g.onnx"}
    for path in (args.watchpost, *files.values()):
        if not path.is_file():
            sys.exit(f"kernels.py: there is no file {path}")
    if args.rounds < 1 or args.runs < 1:
        sys.exit(f"kernels.py: {args.rounds} rounds of {args.runs} runs, expected 1 or more of each")

    env = {**os.environ, "WATCHPOST_MODELS": str(models.resolve()), "WATCHPOST_ISA": args.isa}
    interpreter, everything = python(), {}
    print(f"{'model':18s}{'kernels':14s}{'peer us':>10s}{'ours us':>10s}{'ratio':>8s}   range over {args.rounds} rounds")
    for name, file in files.items():
        for ours in [f"{name}-int8"] + [name] * args.float:
            commands = {
                "peer": [interpreter, Path(__file__).resolve(), "--peer", file, args.runs],
                "ours": [args.watchpost.resolve(), "models", "bench", known.get(ours, ours), "--json", "--runs", args.runs],
            }
            rounds = []
            for turn in range(args.rounds):
                # Who goes first changes, so that a processor that warms up or cools down is fair to both.
                order = list(commands)[:: 1 if turn % 2 == 0 else -1]
                rounds.append({who: answer(commands[who], env) for who in order})
            times = {who: [turn[who]["cpu_us"] for turn in rounds] for who in commands}
            ratios = [a / b for a, b in zip(times["ours"], times["peer"])]
            isa, middle = rounds[0]["ours"]["isa"], statistics.median
            print(
                f"{ours:18s}{isa:14s}{middle(times['peer']):10.0f}{middle(times['ours']):10.0f}{middle(ratios):8.3f}"
                f"   {min(ratios):.3f} to {max(ratios):.3f}",
                flush=True,
            )
            version = rounds[0]["peer"]["version"]
            everything[ours] = {"isa": isa, "onnxruntime": version, "cpu_us": times, "ratios": ratios}
    if args.json:
        args.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], int(sys.argv[3]))
    else:
        main()
