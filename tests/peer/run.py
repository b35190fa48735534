#!/usr/bin/env python3
"""Watchpost against its peer: the same film, the same model, one thread each, in turn.

usage: run.py FILM [--rounds N] [--model FILE.onnx] [--watchpost BINARY] [--with NAME] [--line X1,Y1,X2,Y2] [--json FILE]

Prints processor time, wall time and peak memory of both (medians), their ratios, and what both counted. The first
run makes a virtual environment in the cache folder; nothing is written beside this file. Processor time includes
child processes (an ffmpeg that decodes); peak memory is that of the largest process.

The same job is one command line here and `job.py` there: decode, letterbox, YOLOX-nano, suppression, ByteTrack, one
line, unique objects, JSON. Start-up counts on both sides.
"""
import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The last supervision with a ByteTrack of its own.
PACKAGES = ["opencv-python-headless", "onnxruntime", "numpy", "supervision==0.26.1"]


def python():
    """The interpreter of an environment that has the peer's packages."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchpost-peer"
    folder = cache / hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    interpreter, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        print(f"Installing {', '.join(PACKAGES)} into {folder}, once.", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        ready.touch()
    return str(interpreter)


def measure(command, env):
    """Runs it; its JSON and what it cost."""
    with tempfile.TemporaryFile() as out:
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=out, env=env)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{command[0]} failed with exit status {child.returncode}: {' '.join(map(str, command))}")
        out.seek(0)
        counts = json.loads(out.read())
    cost = {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": wall, "memory_mb": usage.ru_maxrss / 1024}
    return counts, cost


def config(folder, line):
    """Watchpost's side of `job.py`: one line."""
    x1, y1, x2, y2 = line.split(",")
    path = Path(folder) / "peer.toml"
    path.write_text(
        f"""schema = 1
[device]
id = "peer"
[camera.film]
source = {{ kind = "file", path = "film.mp4" }}
[camera.film.line.door]
points = [[{x1}, {y1}], [{x2}, {y2}]]
"""
    )
    return path


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("film", type=Path)
    options.add_argument("--rounds", type=int, default=3)
    models = Path(os.environ.get("WATCHPOST_MODELS", HERE.parents[2] / "shared" / "models"))
    options.add_argument("--model", type=Path, default=models / "yolox_nano.onnx", help="what the peer loads")
    options.add_argument("--watchpost", type=Path, default=HERE.parents[1] / "target" / "release" / "watchpost")
    options.add_argument("--with", dest="name", default="yolox-nano", help="what watchpost loads")
    options.add_argument("--line", default="0.5,1,0.5,0", help="a line in fractions of the frame")
    options.add_argument("--json", type=Path, help="write everything measured there")
    args = options.parse_args()
    for path in (args.film, args.model, args.watchpost):
        if not path.is_file():
            sys.exit(f"run.py: there is no file {path}")
    if args.rounds < 1:
        sys.exit(f"run.py: {args.rounds} rounds, expected 1 or more")

    env = {**os.environ, "WATCHPOST_MODELS": str(args.model.parent.resolve())}
    with tempfile.TemporaryDirectory() as folder:
        plan = config(folder, args.line)
        commands = {
            "python": [python(), HERE / "job.py", args.film, args.model, args.line],
            "watchpost": [args.watchpost.resolve(), "count", args.film, "--config", plan, "--model", args.name, "--json", "-"],
        }
        costs, counts = {name: [] for name in commands}, {}
        for turn in range(args.rounds):
            # Who goes first changes, so that neither always finds the film in the cache.
            for name in list(commands)[:: 1 if turn % 2 == 0 else -1]:
                counts[name], cost = measure(list(map(str, commands[name])), env)
                costs[name].append(cost)
                figures = ", ".join(f"{key} {value:.2f}" for key, value in cost.items())
                print(f"round {turn + 1} {name}: {figures}", file=sys.stderr)

    medians = {n: {k: statistics.median(c[k] for c in runs) for k in runs[0]} for n, runs in costs.items()}
    print(f"{'':12s}{'python':>12s}{'watchpost':>12s}{'ratio':>8s}")
    for key in ("cpu_s", "wall_s", "memory_mb"):
        ours, theirs = medians["watchpost"][key], medians["python"][key]
        print(f"{key:12s}{theirs:12.2f}{ours:12.2f}{ours / theirs:8.2f}")
    for name, seen in counts.items():
        people = seen["objects"].get("person", {"unique": 0, "max_at_once": 0})
        door = seen["lines"]["door"]
        print(
            f"{name}: {seen['frames']} frames, person {people['unique']} unique, {people['max_at_once']} at once, "
            f"line in {door['in']} out {door['out']}"
        )
    if args.json:
        args.json.write_text(json.dumps({"medians": medians, "rounds": costs, "counts": counts}, indent=1) + "\n")


if __name__ == "__main__":
    main()
