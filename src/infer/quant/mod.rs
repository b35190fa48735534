pub mod file;
pub mod graph;
pub mod kernel;
pub mod matcher;
pub mod plan;
pub mod session;

/// tract's errors are of its own `anyhow`, and tell of graph nodes over several lines.
fn plain(error: tract_onnx::prelude::TractError) -> anyhow::Error {
    anyhow::anyhow!("{}", format!("{error:#}").lines().next().unwrap_or_default())
}
