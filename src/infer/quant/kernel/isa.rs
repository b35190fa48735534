//! Which instructions there are, and the choice of a kernel by them.

use super::{Dense, DenseRow, DepthwiseRow, scalar};

/// A set of instructions that there is a kernel for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust: the definition, and what runs where nothing better is there.
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX2 with dot products of bytes in 256 bits.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// The same kernel with the instructions of AVX-512, to test it where AVX-VNNI is missing.
    #[cfg(all(test, target_arch = "x86_64"))]
    AvxVnniOf512,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// NEON with dot products of bytes (ARMv8.2: Cortex-A76 and newer).
    #[cfg(target_arch = "aarch64")]
    NeonDot,
}

impl Isa {
    /// All that this processor can run, the slowest first.
    pub fn available() -> Vec<Isa> {
        let mut found = vec![Isa::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 {
                found.push(Isa::Avx2);
            }
            if avx2 && is_x86_feature_detected!("avxvnni") {
                found.push(Isa::AvxVnni);
            }
            #[cfg(test)]
            if avx2 && is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
                found.push(Isa::AvxVnniOf512);
            }
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512vbmi")
            {
                found.push(Isa::Avx512Vnni);
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            found.push(Isa::Neon);
            if std::arch::is_aarch64_feature_detected!("dotprod") {
                found.push(Isa::NeonDot);
            }
        }
        found
    }

    /// The fastest that this processor can run.
    pub fn best() -> Isa {
        Isa::available().pop().unwrap_or(Isa::Scalar)
    }

    /// The one of this [`name`](Isa::name), if this processor can run it.
    pub fn named(name: &str) -> Option<Isa> {
        Isa::available().into_iter().find(|isa| isa.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => "avx-vnni",
            #[cfg(all(test, target_arch = "x86_64"))]
            Isa::AvxVnniOf512 => "avx-vnni of avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => "neon-dot",
        }
    }

    /// Brings weights into the form that the kernel wants as well.
    pub fn prepare(self, weights: &mut Dense) {
        #[cfg(target_arch = "x86_64")]
        if self == Isa::Avx2 {
            weights.widen();
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = weights;
    }

    /// # Safety
    /// The weights are prepared, the processor has the instructions, every place that `row` describes may be read, and what it describes as
    /// output may be written and is not part of what is read.
    pub unsafe fn dense(self, row: &DenseRow) {
        // SAFETY: the caller's promises are those of the kernels.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => super::avx2::dense(row),
                #[cfg(target_arch = "x86_64")]
                Isa::AvxVnni => super::avxvnni::dense(row),
                #[cfg(all(test, target_arch = "x86_64"))]
                Isa::AvxVnniOf512 => super::avxvnni::of_512::dense(row),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512Vnni => super::avx512::dense(row),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => super::neon::dense(row),
                #[cfg(target_arch = "aarch64")]
                Isa::NeonDot => super::neon::dense_dot(row),
                Isa::Scalar => scalar::dense(row, &scalar::Promised),
            }
        }
    }

    /// # Safety
    /// As for [`Isa::dense`].
    pub unsafe fn depthwise(self, row: &DepthwiseRow) {
        // SAFETY: the caller's promises are those of the kernels.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => super::avx2::depthwise(row),
                #[cfg(target_arch = "x86_64")]
                Isa::AvxVnni => super::avxvnni::depthwise(row),
                #[cfg(all(test, target_arch = "x86_64"))]
                Isa::AvxVnniOf512 => super::avxvnni::of_512::depthwise(row),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512Vnni => super::avx512::depthwise(row),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => super::neon::depthwise(row),
                #[cfg(target_arch = "aarch64")]
                Isa::NeonDot => super::neon::depthwise_dot(row),
                Isa::Scalar => scalar::depthwise(row, &scalar::Promised),
            }
        }
    }
}
