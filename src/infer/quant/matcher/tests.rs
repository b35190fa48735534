//! What is read of small graphs, written as the importer writes them.

use super::*;
use crate::infer::quant::float::Float;
use tract_onnx::tract_core::ops::array::{StridedSlice, TypedConcat};
use tract_onnx::tract_core::ops::cnn::{Conv as TractConv, KernelFormat, PaddingSpec, PoolSpec};
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::{DataFormat, sigmoid};

/// A graph that reads a picture of 8 x 8.
struct Draft(TypedModel);

impl Draft {
    fn new() -> (Self, OutletId) {
        let mut model = TypedModel::default();
        let picture = model.add_source("picture", f32::fact([1, 3, 8, 8])).unwrap();
        (Draft(model), picture)
    }

    fn node(&mut self, name: &str, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> OutletId {
        self.0.wire_node(name, op, inputs).unwrap()[0]
    }

    fn constant(&mut self, name: &str, shape: &[usize], value: f32) -> OutletId {
        let values = vec![value; shape.iter().product()];
        self.0.add_const(name, Tensor::from_shape(shape, &values).unwrap()).unwrap()
    }

    /// 3x3, each weight its number.
    fn conv(&mut self, name: &str, from: OutletId, inputs: usize, outputs: usize) -> OutletId {
        let count = outputs * inputs * 9;
        let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
        let weights = Tensor::from_shape(&[outputs, inputs, 3, 3], &values).unwrap();
        let weights = self.0.add_const(format!("{name}.weights"), weights).unwrap();
        let bias = self.constant(&format!("{name}.bias"), &[outputs], 0.5);
        let padding = PaddingSpec::Explicit(tvec!(1, 1), tvec!(1, 1));
        let spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: tvec!(3, 3),
            padding,
            dilations: None,
            strides: None,
            input_channels: inputs,
            output_channels: outputs,
        };
        let conv = TractConv { pool_spec: spec, kernel_fmt: KernelFormat::OIHW, group: 1, q_params: None };
        self.node(name, conv, &[from, weights, bias])
    }

    /// Pixels become rows of the answer.
    fn read(mut self, last: OutletId) -> Result<Graph> {
        let shape = self.0.outlet_fact(last).unwrap().shape.as_concrete().unwrap().to_vec();
        let [height, width] = [shape[2], shape[3]].map(|n| n.to_dim());
        let pixels = height.clone() * width.clone();
        let flat = self.node("flat", AxisOp::Reshape(2, tvec!(height, width), tvec!(pixels)), &[last]);
        let turned = self.node("turned", AxisOp::Move(1, 2), &[flat]);
        self.0.select_output_outlets(&[turned]).unwrap();
        read(&self.0)
    }
}

fn only_conv(graph: &Graph) -> &Conv {
    match &graph.layers[..] {
        [layer] => match &layer.kind {
            Kind::Conv(conv) => conv,
            other => panic!("it is {other:?}"),
        },
        layers => panic!("there are {} layers", layers.len()),
    }
}

#[test]
fn a_value_times_its_sigmoid_is_part_of_the_convolution() {
    let (mut draft, picture) = Draft::new();
    let conv = draft.conv("conv", picture, 3, 2);
    let gate = draft.node("gate", sigmoid(), &[conv]);
    let gated = draft.node("gated", math::mul(), &[conv, gate]);
    let graph = draft.read(gated).unwrap();
    let conv = only_conv(&graph);
    assert_eq!((conv.act, conv.kernel, conv.stride, conv.pad), (Act::Silu, [3, 3], 1, [1, 1]));
    // Output 1, row 2, column 0, input 1: number 9 * (3 + 1) + 6 of the importer's order.
    assert_eq!(conv.weights[((3 + 2) * 3) * 3 + 1], 42.0);
    assert_eq!((graph.outputs[0].rows, graph.outputs[0].columns), (64, 2));
}

#[test]
fn relu6_is_a_relu_whose_tensor_ends_at_six() {
    let (mut draft, picture) = Draft::new();
    let conv = draft.conv("conv", picture, 3, 2);
    let (zero, six) = (draft.constant("0", &[1, 1, 1, 1], 0.0), draft.constant("6", &[1, 1, 1, 1], 6.0));
    let low = draft.node("low", math::max(), &[conv, zero]);
    let both = draft.node("both", math::min(), &[low, six]);
    let graph = draft.read(both).unwrap();
    assert_eq!(only_conv(&graph).act, Act::Slope(0.0));
    assert_eq!(graph.tensors[1].most, 6.0);
}

#[test]
fn a_picture_whose_pixels_became_channels_is_read_by_a_larger_convolution() {
    let (mut draft, picture) = Draft::new();
    let slice = |draft: &mut Draft, name: &str, from: OutletId, axis: i64, first: i64| {
        let list = |v: i64| tensor1(&[v]);
        let parts = [first, i64::MAX, axis, 2].map(list);
        let inputs: Vec<OutletId> = std::iter::once(from)
            .chain(
                parts.into_iter().enumerate().map(|(i, part)| draft.0.add_const(format!("{name}.{i}"), part).unwrap()),
            )
            .collect();
        let op = StridedSlice {
            optional_axes_input: Some(3),
            optional_steps_input: Some(4),
            begin_mask: 0,
            end_mask: 0,
            shrink_axis_mask: 0,
        };
        draft.node(name, op, &inputs)
    };
    let mut parts = Vec::new();
    for (name, dy, dx) in [("a", 0, 0), ("b", 1, 0), ("c", 0, 1), ("d", 1, 1)] {
        let rows = slice(&mut draft, &format!("{name}.rows"), picture, 2, dy);
        parts.push(slice(&mut draft, name, rows, 3, dx));
    }
    let deep = draft.node("deep", TypedConcat { axis: 1 }, &parts);
    let conv = draft.conv("conv", deep, 12, 1);
    let graph = draft.read(conv).unwrap();
    let conv = only_conv(&graph);
    assert_eq!((conv.kernel, conv.stride, conv.pad), ([6, 6], 2, [2, 2]));
    // Block b holds odd rows: its channel 2 (5 of 12) at row 0, column 1 is row 1, column 2 of the picture.
    assert_eq!(conv.weights[(6 + 2) * 3 + 2], (5 * 9 + 1) as f32);
}

/// What comes out of a model for one input, without batch.
fn computed(model: TypedModel, input: &Tensor) -> Vec<f32> {
    let outputs = model.into_runnable().unwrap().run(tvec!(input.clone().into_tvalue())).unwrap();
    reals(&outputs[0]).unwrap()
}

#[test]
fn what_is_not_known_goes_on_in_floats_behind_the_rest() {
    let (mut draft, picture) = Draft::new();
    let first = draft.conv("first", picture, 3, 2);
    let root = draft.node("root", math::tanh(), &[first]);
    let last = draft.conv("last", root, 2, 4);
    draft.0.select_output_outlets(&[last]).unwrap();
    let found = part(&draft.0).unwrap();
    let stays: Vec<String> = found.stays.iter().map(ToString::to_string).collect();
    assert_eq!(stays, ["node root (Tanh) stays in floats: its function is not known"]);
    assert_eq!((found.graph.layers.len(), found.graph.outputs.len()), (1, 1));
    assert_eq!((found.graph.outputs[0].rows, found.graph.outputs[0].columns), (64, 2));

    // Both parts one after the other are the whole.
    let bytes: Vec<u8> = (0..192).map(|i| (i * 37 % 256) as u8).collect();
    let pixels = Float::new(&found.graph, [0; 3]).unwrap().run(&bytes, &mut |_| ()).unwrap();
    let planes = |pixels: &[f32], channels: usize| -> Vec<f32> {
        (0..pixels.len()).map(|i| pixels[i % 64 * channels + i / 64]).collect()
    };
    let between = Tensor::from_shape(&[1, 2, 8, 8], &planes(&pixels[0], 2)).unwrap();
    let together = computed(found.rest.unwrap(), &between);
    let reals: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte)).collect();
    let expected = computed(draft.0, &Tensor::from_shape(&[1, 3, 8, 8], &planes(&reals, 3)).unwrap());
    assert!(together.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-3 * b.abs().max(1.0)));
    assert_eq!(together.len(), 256);
}

#[test]
fn a_product_is_no_layer_and_what_it_reads_is_handed_over() {
    let (mut draft, picture) = Draft::new();
    let one = draft.conv("one", picture, 3, 2);
    let other = draft.conv("other", picture, 3, 2);
    let product = draft.node("product", math::mul(), &[one, other]);
    draft.0.select_output_outlets(&[product]).unwrap();
    let found = part(&draft.0).unwrap();
    assert_eq!(found.stays[0].why, "it multiplies two tensors");
    assert_eq!((found.graph.layers.len(), found.rest.unwrap().inputs.len()), (2, 2));
}

#[test]
fn nothing_is_won_where_the_first_node_is_unknown() {
    let (mut draft, picture) = Draft::new();
    let root = draft.node("root", math::sqrt(), &[picture]);
    let conv = draft.conv("conv", root, 3, 2);
    draft.0.select_output_outlets(&[conv]).unwrap();
    let error = format!("{:#}", part(&draft.0).err().unwrap());
    assert!(error.contains("the picture is read in floats as well"), "{error}");
}

#[test]
fn what_is_not_known_is_named() {
    let (mut draft, picture) = Draft::new();
    let conv = draft.conv("conv", picture, 3, 2);
    let root = draft.node("root", math::sqrt(), &[conv]);
    let error = format!("{:#}", draft.read(root).expect_err("a root is no activation"));
    assert!(error.contains("node root (Sqrt) stays in floats: its function is not known"), "{error}");
}
