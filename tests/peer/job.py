"""The peer: what a user would write to count in a film with Python: YOLOX, supervision's ByteTrack and line.

usage: job.py FILM MODEL.onnx X1,Y1,X2,Y2      (a line in fractions of the frame; result as JSON on stdout)

One thread, as on a board that has other things to do. Nothing is slowed down on purpose.
"""
import json
import sys
from collections import defaultdict

import cv2
import numpy as np
import onnxruntime
import supervision as sv

SIDE, PAD, MIN_SCORE, NMS = 416, 114, 0.30, 0.60
NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,"
    "tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,"
    "tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,"
    "hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,"
    "toothbrush"
).split(",")


def grid():
    """Left upper corner and stride of every prediction, in the order of the network's output."""
    cells = []
    for stride in (8, 16, 32):
        y, x = np.mgrid[: SIDE // stride, : SIDE // stride]
        cells.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], 1))
    cells = np.concatenate(cells).astype(np.float32)
    return cells[:, :2], cells[:, 2:]


def letterbox(frame):
    scale = min(SIDE / frame.shape[0], SIDE / frame.shape[1])
    height, width = round(frame.shape[0] * scale), round(frame.shape[1] * scale)
    canvas = np.full((SIDE, SIDE, 3), PAD, np.uint8)
    canvas[:height, :width] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas.transpose(2, 0, 1)[None].astype(np.float32), scale


def detect(session, corners, strides, frame):
    tensor, scale = letterbox(frame)
    out = session.run(None, {session.get_inputs()[0].name: tensor})[0][0]
    scores = out[:, 5:] * out[:, 4:5]
    classes = scores.argmax(1)
    scores = scores[np.arange(len(scores)), classes]
    keep = scores >= MIN_SCORE
    out, classes, scores = out[keep], classes[keep], scores[keep]
    centre = (out[:, :2] + corners[keep]) * strides[keep]
    size = np.exp(out[:, 2:4]) * strides[keep]
    xyxy = np.concatenate([centre - size / 2, centre + size / 2], 1) / scale
    found = sv.Detections(xyxy=xyxy, confidence=scores, class_id=classes)
    return found.with_nms(threshold=NMS) if len(found) else found


def main(film, model, line):
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    corners, strides = grid()

    video = cv2.VideoCapture(film)
    fps = video.get(cv2.CAP_PROP_FPS) or 30.0
    width, height = (video.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    x1, y1, x2, y2 = (float(v) for v in line.split(","))
    # Watchpost's "in" goes from the left hand to the right hand; supervision's from right to left.
    door = sv.LineZone(
        sv.Point(x2 * width, y2 * height),
        sv.Point(x1 * width, y1 * height),
        triggering_anchors=[sv.Position.BOTTOM_CENTER],
    )
    tracker = sv.ByteTrack(frame_rate=fps)
    unique, most, frames = defaultdict(set), defaultdict(int), 0
    while True:
        more, frame = video.read()
        if not more:
            break
        frames += 1
        tracks = tracker.update_with_detections(detect(session, corners, strides, frame))
        door.trigger(tracks)
        for name in set(tracks.class_id if len(tracks) else ()):
            here = tracks.tracker_id[tracks.class_id == name]
            unique[name].update(here.tolist())
            most[name] = max(most[name], len(here))
    objects = {NAMES[c]: {"unique": len(unique[c]), "max_at_once": most[c]} for c in sorted(unique)}
    lines = {"door": {"in": door.in_count, "out": door.out_count}}
    print(json.dumps({"frames": frames, "seconds": round(frames / fps, 3), "objects": objects, "lines": lines}))


main(*sys.argv[1:])
