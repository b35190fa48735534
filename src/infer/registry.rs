//! Which models there are, and which of them is meant by a name.
//!
//! | place | what |
//! |---|---|
//! | in the binary | NanoDet-g in int8; the manifests of its float twin and of YOLOX-nano, whose file may not be shipped, with the ranges that make an int8 twin of that |
//! | the folder `WATCHPOST_MODELS` | what the user put there: files of manifests we know, folders with a `model.toml` |
//! | `models/` of the working folder | folders with a `model.toml` |
//! | the state folder | what `models pull` got |
//!
//! The manifests of MoveNet, which says how people stand, are in the binary as well; its file lies in `models/`.
//!
//! `auto` is the twin of YOLOX-nano that is fastest here ([`choice`]) where its file is, else NanoDet-g in int8. A broken file in the folder the user named is an error; one
//! that was pulled is said to be broken and passed over, since a box left alone should rather see with its second
//! best model than not at all.

use super::choice;
use super::detector::NetDetector;
use super::engine::Engine;
use super::manifest::{Golden, Manifest};
use super::pose::PoseNet;
use super::twin;
use super::{Detector, Limits, Request};
use crate::bad_input;
use crate::problems::BadInput;
use anyhow::{Result, anyhow};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The manifests in the binary. In this order `models list` shows them.
static BUILT_IN: [BuiltIn; 8] = [
    BuiltIn {
        manifest: include_str!("../../models/nanodet-g/int8/model.toml"),
        file: Some(include_bytes!("../../models/nanodet-g/int8/nanodet-g.int8")),
        ranges: None,
    },
    BuiltIn { manifest: include_str!("../../models/nanodet-g/model.toml"), file: None, ranges: None },
    BuiltIn { manifest: include_str!("../../models/nanodet-g/model-320.toml"), file: None, ranges: None },
    BuiltIn {
        manifest: include_str!("../../models/yolox-nano/int8/model.toml"),
        file: None,
        ranges: Some(include_str!("../../models/yolox-nano/int8/ranges.json")),
    },
    BuiltIn {
        manifest: include_str!("../../models/yolox-nano/int8/model-exact.toml"),
        file: None,
        ranges: Some(include_str!("../../models/yolox-nano/int8/ranges.json")),
    },
    BuiltIn { manifest: include_str!("../../models/yolox-nano/model.toml"), file: None, ranges: None },
    BuiltIn { manifest: include_str!("../../models/movenet-lightning/int8/model.toml"), file: None, ranges: None },
    BuiltIn { manifest: include_str!("../../models/movenet-lightning/model.toml"), file: None, ranges: None },
];

struct BuiltIn {
    manifest: &'static str,
    /// Where it is in the binary, too.
    file: Option<&'static [u8]>,
    /// Where the file is the float twin's.
    ranges: Option<&'static str>,
}

/// What `auto` takes first, and what it takes where that is absent.
const PREFERRED: [&str; 3] = ["yolox-nano-int8", "yolox-nano-int8-exact", "yolox-nano"];
const ALWAYS_THERE: &str = "nanodet-g-int8";
/// How the names of its float originals begin.
const FLOAT_OF_ALWAYS_THERE: &str = "nanodet-g";

/// A model and where its file is.
#[derive(Debug, Clone)]
pub struct Known {
    pub manifest: Manifest,
    pub place: Place,
    /// Where the file is a float twin's: what it is quantized by.
    ranges: Option<Cow<'static, str>>,
    /// Folders that int8 twins are kept in.
    kept: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Embedded(&'static [u8]),
    /// Put somewhere by the user.
    Named(PathBuf),
    /// Got by `models pull`.
    Pulled(PathBuf),
    Absent,
}

/// The folders that are searched.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// `WATCHPOST_MODELS`
    pub named: Option<PathBuf>,
    /// Where models lie in folders of their own.
    pub local: Option<PathBuf>,
    /// `models pull` writes into the first.
    pub pulled: Vec<PathBuf>,
}

impl Registry {
    pub fn from_env() -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        // systemd names the service's state folder; elsewhere root's is the same and everybody else has a cache.
        let state = folder("STATE_DIRECTORY");
        let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
        let shared = state.is_none().then(|| PathBuf::from("/var/lib/watchpost"));
        let cache = cache.map(|cache| cache.join("watchpost"));
        let order = if rustix::process::geteuid().is_root() { [state, shared, cache] } else { [state, cache, shared] };
        Registry {
            named: folder("WATCHPOST_MODELS"),
            local: Some("models".into()),
            pulled: order.into_iter().flatten().map(|state| state.join("models")).collect(),
        }
    }

    /// See [`super::load`].
    pub fn load(&self, request: &Request) -> Result<Box<dyn Detector>> {
        let Request { model, limits, most_lost, .. } = request;
        if model != "auto" {
            let known = self.find(model)?;
            if known.place == Place::Absent && known.manifest.name.starts_with(FLOAT_OF_ALWAYS_THERE) {
                // It was in the binary once, and boards are configured so.
                tracing::warn!(asked = %model, instead = ALWAYS_THERE, "Model is not here, its int8 twin is.");
                return self.find(ALWAYS_THERE)?.load(*limits);
            }
            return known.load(*limits);
        }
        match self.preferred(*limits, *most_lost) {
            Ok(Some(detector)) => return Ok(detector),
            Ok(None) => {}
            Err((error, Place::Pulled(_))) => {
                tracing::warn!(error = %format!("{error:#}"), instead = ALWAYS_THERE, "Pulled model is broken.");
            }
            Err((error, _)) => return Err(error),
        }
        self.find(ALWAYS_THERE)?.load(*limits)
    }

    /// The twin of the preferred model that suits this board, where its file is. With an error, whose it is.
    fn preferred(&self, limits: Limits, most_lost: f32) -> Result<Option<Box<dyn Detector>>, (anyhow::Error, Place)> {
        let twins = self.twins(most_lost);
        let Some(first) = twins.first() else { return Ok(None) };
        let place = first.place.clone();
        let key = choice::key(&twins.iter().map(|known| &known.manifest).collect::<Vec<_>>(), most_lost);
        let load = || {
            let named = |name: &str| twins.iter().find(|known| known.manifest.name == name);
            if let Some(known) = choice::kept(&self.pulled, &key).and_then(|kept| named(&kept.chosen)) {
                return known.load(limits);
            }
            // One at a time: a small board has no room for all. One that fails here is no reason to see with none.
            let (mut measured, mut broken) = (Vec::new(), None);
            for known in &twins {
                let loaded = known.load(limits);
                match loaded.and_then(|mut detector| choice::measure(&mut *detector, known.manifest.lost)) {
                    Ok(one) => measured.push(one),
                    Err(error) => broken = broken.or(Some(error)),
                }
            }
            match choice::keep(measured, &self.pulled, key).and_then(|choice| named(&choice.chosen)) {
                Some(known) => known.load(limits),
                None => Err(broken.unwrap_or_else(|| anyhow!("none of the models could be measured"))),
            }
        };
        load().map(Some).map_err(|error| (error, place))
    }

    /// What says how people stand: of that name or at that path, or with `auto` the first of those we know that is here.
    ///
    /// # Errors
    /// [`BadInput`] where there is none, or it cannot be used.
    pub fn pose(&self, model: &str) -> Result<PoseNet> {
        if model != "auto" {
            return self.find(model)?.pose();
        }
        let mut known: Vec<Known> = self.built_in().into_iter().filter(|known| known.manifest.is_pose()).collect();
        let here = known.iter().position(|known| known.place != Place::Absent).unwrap_or(0);
        known.swap_remove(here).pose()
    }

    /// The preferred models that are here and lose no more than this.
    fn twins(&self, most_lost: f32) -> Vec<Known> {
        let fits = |known: &Known| {
            let Manifest { name, lost, .. } = &known.manifest;
            PREFERRED.contains(&name.as_str()) && known.place != Place::Absent && *lost <= most_lost
        };
        self.built_in().into_iter().filter(fits).collect()
    }

    /// What `auto` is here, and why, without loading anything: not known before the first start.
    pub fn auto(&self, most_lost: f32) -> (String, String) {
        let twins = self.twins(most_lost);
        let key = choice::key(&twins.iter().map(|known| &known.manifest).collect::<Vec<_>>(), most_lost);
        match (twins.is_empty(), choice::kept(&self.pulled, &key)) {
            (true, _) => (ALWAYS_THERE.into(), "it is in the binary, and YOLOX-nano is not here".into()),
            (false, Some(choice)) => (choice.chosen.clone(), choice.why()),
            (false, None) => ("yolox-nano".into(), "its fastest twin will be measured at the first start".into()),
        }
    }

    /// The model of that name, or at that path.
    pub fn find(&self, model: &str) -> Result<Known> {
        if let Some(known) = self.built_in().into_iter().find(|k| k.manifest.name == model) {
            return Ok(known);
        }
        if model.contains('/') || Path::new(model).exists() {
            return self.at(Path::new(model));
        }
        if let Some(folder) = self.folders().map(|f| f.join(model)).find(|f| f.join("model.toml").exists()) {
            return self.at(&folder);
        }
        let names: Vec<String> = self.built_in().into_iter().map(|k| k.manifest.name).collect();
        bad_input!(
            "there is no model `{model}`, expected auto, {}, a folder under models/ with a model.toml, or a path to one",
            names.join(", ")
        )
    }

    /// All models that can be named, those in the binary first.
    pub fn all(&self) -> Vec<Known> {
        let mut all = self.built_in();
        for folder in self.folders() {
            let mut manifests: Vec<PathBuf> = std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path().join("model.toml")))
                .filter(|path| path.exists())
                .collect();
            manifests.sort();
            for path in manifests {
                match self.at(&path) {
                    Ok(known) if all.iter().any(|k| k.manifest.name == known.manifest.name) => {}
                    Ok(known) => all.push(known),
                    Err(error) => tracing::warn!(error = %format!("{error:#}"), "Model is left out."),
                }
            }
        }
        all
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.named.iter().chain(&self.local).chain(&self.pulled)
    }

    fn built_in(&self) -> Vec<Known> {
        let known = |built_in: &BuiltIn| {
            let manifest = Manifest::parse(built_in.manifest).expect("a test reads the manifests of the binary");
            let place = built_in.file.map_or_else(|| self.place_of(&manifest), Place::Embedded);
            Known { manifest, place, ranges: built_in.ranges.map(Cow::Borrowed), kept: self.pulled.clone() }
        };
        BUILT_IN.iter().map(known).collect()
    }

    /// Where the file of a manifest without a folder is.
    fn place_of(&self, manifest: &Manifest) -> Place {
        let within = |folder: &PathBuf| {
            let file = Path::new(&manifest.file);
            let family = file.file_stem().map(|stem| folder.join(stem));
            let family = family.into_iter().flat_map(|family| [family.join(file), family.join("int8").join(file)]);
            let mine = [folder.join(file), folder.join(&manifest.name).join(file)];
            mine.into_iter().chain(family).find(|path| path.exists())
        };
        if let Some(path) = self.named.iter().chain(&self.local).find_map(within) {
            return Place::Named(path);
        }
        self.pulled.iter().find_map(within).map_or(Place::Absent, Place::Pulled)
    }

    /// The model in a folder, of a manifest, or of a bare ONNX file whose manifest we know.
    fn at(&self, path: &Path) -> Result<Known> {
        let manifest_of = |path: PathBuf| -> Result<Known> {
            let manifest = Manifest::read(&path)?;
            let place = Place::Named(path.with_file_name(&manifest.file));
            let ranges = manifest.ranges.as_ref().map(|ranges| {
                let ranges = path.with_file_name(ranges);
                std::fs::read_to_string(&ranges)
                    .map_err(|error| BadInput(format!("cannot read ranges {}: {error}", ranges.display())))
            });
            Ok(Known { manifest, place, ranges: ranges.transpose()?.map(Cow::Owned), kept: self.pulled.clone() })
        };
        if path.is_dir() {
            return manifest_of(path.join("model.toml"));
        }
        if path.extension().is_some_and(|e| e == "toml") {
            return manifest_of(path.to_path_buf());
        }
        let bytes =
            std::fs::metadata(path).map_err(|e| BadInput(format!("cannot open model {}: {e}", path.display())))?.len();
        let beside = path.with_file_name("model.toml");
        if beside.exists() {
            let known = manifest_of(beside)?;
            if known.place == Place::Named(path.to_path_buf()) {
                return Ok(known);
            }
        }
        // A file that stands for itself: its twin is asked for by name.
        for known in self.built_in().into_iter().filter(|known| known.ranges.is_none()) {
            let manifest = &known.manifest;
            // Of the size it should have: its digest decides. Of another size: its name says what it is meant to be.
            let named = path.file_name().is_some_and(|name| name == manifest.file.as_str());
            if named || (bytes == manifest.bytes && sha256(&std::fs::read(path)?) == manifest.sha256) {
                return Ok(known.moved(path));
            }
        }
        bad_input!("no manifest for model {}: expected a model.toml beside it", path.display())
    }
}

impl Known {
    pub fn load(&self, limits: Limits) -> Result<Box<dyn Detector>> {
        Ok(Box::new(self.open(limits)?))
    }

    /// Loads the model and says what it answers to the golden picture.
    pub fn golden(&self, limits: Limits) -> Result<Golden> {
        if self.manifest.is_pose() { self.pose()?.golden() } else { self.open(limits)?.golden() }
    }

    fn open(&self, limits: Limits) -> Result<NetDetector> {
        NetDetector::new(&self.manifest, self.engine()?, limits).map_err(|error| self.unusable(&error))
    }

    /// What says how a person stands.
    ///
    /// # Errors
    /// As for [`Known::load`].
    pub fn pose(&self) -> Result<PoseNet> {
        PoseNet::new(&self.manifest, self.engine()?).map_err(|error| self.unusable(&error))
    }

    fn engine(&self) -> Result<Engine> {
        let manifest = &self.manifest;
        let engine = match &self.ranges {
            None => {
                let file = self.read()?;
                Engine::new(manifest, file)
            }
            Some(ranges) => {
                self.present()?;
                twin::engine(manifest, ranges, &self.kept, || Ok(self.read()?.into_owned()))
            }
        };
        engine.map_err(|error| self.unusable(&error))
    }

    /// The same model, its file here.
    fn moved(self, path: &Path) -> Known {
        Known { place: Place::Named(path.to_path_buf()), ..self }
    }

    /// The file's bytes, when they are those that the manifest means.
    pub fn read(&self) -> Result<Cow<'static, [u8]>> {
        let manifest = &self.manifest;
        let bytes = match &self.place {
            Place::Embedded(bytes) => Cow::Borrowed(*bytes),
            Place::Named(path) | Place::Pulled(path) => Cow::Owned(read_file(path, manifest)?),
            Place::Absent => return Err(self.present().expect_err("it is absent")),
        };
        manifest.check_digest(&bytes).map_err(|error| self.unusable(&error))?;
        Ok(bytes)
    }

    fn present(&self) -> Result<()> {
        let Manifest { name, file, origin, .. } = &self.manifest;
        if self.place != Place::Absent {
            return Ok(());
        }
        let get = if origin.url.is_some() {
            format!("`watchpost models pull {name}` gets it, or put ")
        } else {
            "put ".into()
        };
        bad_input!("model {name} is not here: {get}{file} into a folder and name that in WATCHPOST_MODELS")
    }

    fn unusable(&self, error: &anyhow::Error) -> anyhow::Error {
        // What the user knows the file as.
        let called = match &self.place {
            Place::Named(path) | Place::Pulled(path) => path.display().to_string(),
            Place::Embedded(_) | Place::Absent => self.manifest.name.clone(),
        };
        BadInput(format!("cannot use model {called}: {error:#}")).into()
    }
}

impl Manifest {
    /// Whether these bytes are the file that is meant.
    pub fn check_digest(&self, bytes: &[u8]) -> Result<()> {
        let found = sha256(bytes);
        if found == self.sha256 {
            Ok(())
        } else {
            Err(anyhow!("its sha256 is {found}, expected {} ({})", self.sha256, self.name))
        }
    }
}

/// In hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Looks at the length first, so that no file of any size is read in vain.
fn read_file(path: &Path, manifest: &Manifest) -> Result<Vec<u8>> {
    let cannot = |what: String| BadInput(format!("cannot use model {}: {what}", path.display()));
    let meta = std::fs::metadata(path).map_err(|e| cannot(e.to_string()))?;
    if !meta.is_file() {
        return Err(cannot("it is not a file".into()).into());
    }
    if meta.len() != manifest.bytes {
        let expected =
            format!("it has {} bytes, expected the {} bytes of {}", meta.len(), manifest.bytes, manifest.name);
        return Err(cannot(expected).into());
    }
    std::fs::read(path).map_err(|e| cannot(e.to_string()).into())
}
