//! `bench` and `models bench`: figures of the kernels that really ran.

mod cli;

use cli::Desk;
use serde_json::Value;

/// In the tree, not in the binary.
const FLOAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/nanodet-g");

fn json(desk: &Desk, line: &str, isa: &str) -> Value {
    let outcome = desk.run_with(line, &[("WATCHPOST_ISA", isa)]);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn the_kernels_that_are_asked_for_run_and_are_named() {
    let desk = Desk::new();
    for isa in ["scalar", ""] {
        let report = json(&desk, "bench --json --model nanodet-g-int8 --runs 1", isa);
        let found = report["isa"].as_str().unwrap();
        assert_eq!(found == "scalar", isa == "scalar", "{found} where `{isa}` was asked for");
        assert!(report["stages"]["infer"]["cpu_ms"].as_f64().unwrap() > 0.0, "{report}");
    }
    let report = json(&desk, &format!("bench --json --model {FLOAT} --runs 1"), "scalar");
    assert_eq!(report["isa"], "tract", "a float network does not run on our kernels");
}

#[test]
fn kernels_that_are_not_here_are_refused_by_name() {
    let desk = Desk::new();
    for isa in ["mmx", "avx512-vnni neon", "Scalar"] {
        for line in ["bench --model nanodet-g-int8 --runs 1", "models bench nanodet-g-int8"] {
            let outcome = desk.run_with(line, &[("WATCHPOST_ISA", isa)]);
            assert_eq!(outcome.status, 2, "{line}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(&format!("WATCHPOST_ISA is `{isa}`")), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("scalar"), "it says what there is: {}", outcome.stderr);
        }
    }
}

#[test]
fn layers_make_up_the_network() {
    let desk = Desk::new();
    let report = json(&desk, "models bench nanodet-g-int8 --json --runs 3", "");
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} in {report}"));
    let layers = report["layers"].as_array().unwrap();
    assert!(layers.len() > 30, "{} layers", layers.len());
    let kinds = report["kinds"].as_array().unwrap();
    for key in ["cpu_us", "products"] {
        let sum = |rows: &[Value]| rows.iter().map(|row| number(&row[key])).sum::<f64>();
        assert!((sum(layers) - sum(kinds)).abs() < 1e-6 * sum(layers), "{key} of {report}");
    }
    let shares: f64 = kinds.iter().map(|kind| number(&kind["share"])).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    assert!(number(&report["peak"]["gmacs"]) > 0.0, "{report}");
    for layer in layers {
        let shape: f64 = layer["shape"].as_array().unwrap().iter().map(number).product();
        let products = number(&layer["products"]);
        assert_eq!(layer["kind"] == "other", products == 0.0, "{layer}");
        // Every output of a convolution is a sum of so many products.
        assert_eq!(products % shape, 0.0, "{layer}");
    }
}

#[test]
fn layers_are_a_table_and_a_float_network_is_a_line() {
    let desk = Desk::new();
    let outcome = desk.run("models bench nanodet-g-int8 --runs 1");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    for word in ["GMAC/s", "dense 3x3 / 2", "bilinear", "layers together", "peak"] {
        assert!(outcome.stdout.contains(word), "no {word} in {}", outcome.stdout);
    }
    let outcome = desk.run(&format!("models bench {FLOAT} --runs 1"));
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("nanodet-g on tract"), "{}", outcome.stdout);
}
