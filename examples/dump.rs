use tract_onnx::prelude::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut m = tract_onnx::onnx().model_for_path(&a[1]).unwrap();
    let n: usize = a[2].parse().unwrap();
    m = m.with_input_fact(0, f32::fact([1, 3, n, n]).into()).unwrap();
    let m = m.into_typed().unwrap();
    for id in m.eval_order().unwrap() {
        let n = &m.nodes[id];
        println!("{} {:?} {} <- {:?} -> {:?}", n.id, n.name, n.op().name(), n.inputs, n.outputs.iter().map(|o| format!("{:?} k{}", o.fact.shape, o.fact.konst.is_some())).collect::<Vec<_>>());
    }
}
