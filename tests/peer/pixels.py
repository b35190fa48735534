#!/usr/bin/env python3
"""From a camera's bytes to the network's input: Watchpost beside OpenCV and ffmpeg, one thread each, in turn.

usage: pixels.py FILM [--rounds N] [--watchpost BINARY] [--frames N] [--json FILE]

Makes of the film, with ffmpeg, what cameras send in 720p: MJPEG (4:2:2, as USB cameras do) and H.264 (MP4, and the
same in an MPEG stream, which Watchpost reads through an ffmpeg child). Then, in turn:

- mjpeg: cv2.imdecode, cv2.resize, border, float, transposed - against `watchpost bench --pixels --mjpeg`. Both tell
  processor time per frame, the mean over all frames.
- h264: `ffmpeg -vf scale` to planes of the input's size - against `watchpost bench --pixels --video`, which also makes
  the tensor. Both are whole processes with their children, a short run taken off a long one, so that start-up is not in.

Prints medians over the rounds and their ratios.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from run import python  # noqa: E402

SIDE = 416

PEER = f"""
import sys, time, json, numpy as np, cv2
cv2.setNumThreads(1)
data = open(sys.argv[1], "rb").read()
frames, at = [], 0
while at < len(data):
    end = data.index(b"\\xff\\xd9\\xff\\xd8", at) + 2 if data.find(b"\\xff\\xd9\\xff\\xd8", at) >= 0 else len(data)
    frames.append(np.frombuffer(data[at:end], np.uint8)); at = end
def tensor(jpeg):
    image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    h, w = image.shape[:2]
    scale = min({SIDE} / w, {SIDE} / h)
    small = cv2.resize(image, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_LINEAR)
    padded = np.full(({SIDE}, {SIDE}, 3), 114, np.uint8)
    padded[: small.shape[0], : small.shape[1]] = small
    return np.ascontiguousarray(padded.transpose(2, 0, 1), dtype=np.float32)[None]
for jpeg in frames[:10]:
    tensor(jpeg)
n = int(sys.argv[2])
start = time.process_time()
for i in range(n):
    tensor(frames[i % len(frames)])
print(json.dumps((time.process_time() - start) * 1000 / n))
"""


def output(command, env=None):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, check=True, env=env).stdout


def processor_s(command):
    """Of the process and its children."""
    with open(os.devnull, "wb") as nothing:
        child = subprocess.Popen([str(c) for c in command], stdout=nothing, stderr=nothing)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command[0]} failed with exit status {child.returncode}: {' '.join(map(str, command))}")
    return usage.ru_utime + usage.ru_stime


def per_frame_ms(command, frames):
    """`command(n)` is the command line for n frames."""
    few = frames // 4
    return (processor_s(command(frames)) - processor_s(command(few))) * 1000 / (frames - few)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--watchpost", default="target/release/watchpost")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    interpreter = python()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        mjpeg, mp4, stream = folder / "film.mjpeg", folder / "film.mp4", folder / "film.ts"
        ffmpeg = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
        make = [*ffmpeg, "-stream_loop", "-1", "-i", args.film, "-frames:v", args.frames, "-an", "-vf", "scale=1280:720"]
        output([*make, "-pix_fmt", "yuvj422p", "-c:v", "mjpeg", "-q:v", "5", mjpeg])
        # As IP cameras are set: no B-frames, a keyframe every two seconds, 2 Mbit/s.
        output([*make, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "medium", "-bf", "0", "-g", "50", "-b:v", "2M", mp4])
        output([*ffmpeg, "-i", mp4, "-c", "copy", stream])
        bench = [args.watchpost, "bench", "--pixels", "--json"]

        def ours_mjpeg():
            stages = json.loads(output([*bench, "--mjpeg", mjpeg, "--runs", args.frames]))["stages"]
            return stages["decode"]["mean_cpu_ms"] + stages["letterbox"]["mean_cpu_ms"]

        def ours_film(film):
            return per_frame_ms(lambda n: [*bench, "--video", film, "--runs", n - 2], args.frames)

        def theirs_film():
            scale = f"scale={SIDE}:{SIDE * 720 // 1280}"
            command = [*ffmpeg, "-threads", "1", "-filter_threads", "1", "-i", mp4, "-vf", scale, "-f", "rawvideo"]
            return per_frame_ms(lambda n: [*command, "-frames:v", n, "-pix_fmt", "yuv420p", os.devnull], args.frames)

        jobs = {
            "mjpeg, OpenCV": lambda: float(output([interpreter, "-c", PEER, mjpeg, args.frames])),
            "mjpeg, Watchpost": ours_mjpeg,
            "h264, ffmpeg": theirs_film,
            "h264, Watchpost": lambda: ours_film(mp4),
            "h264, Watchpost through ffmpeg": lambda: ours_film(stream),
        }
        found = {name: [] for name in jobs}
        for _ in range(args.rounds):
            for name, job in jobs.items():
                found[name].append(job())
    medians = {name: statistics.median(values) for name, values in found.items()}
    peer = {"mjpeg": medians["mjpeg, OpenCV"], "h264": medians["h264, ffmpeg"]}
    print(f"{'processor time per frame of 720p':<34} {'ms':>7} {'lowest':>7} {'highest':>7} {'ratio':>6}")
    for name, ms in medians.items():
        ratio = ms / peer[name.split(",")[0]]
        print(f"{name:<34} {ms:>7.2f} {min(found[name]):>7.2f} {max(found[name]):>7.2f} {ratio:>6.2f}")
    if args.json:
        args.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
