//! Where ifbus keeps its files, after the XDG folders, each with an override.
//!
//! | variable | what | default |
//! |---|---|---|
//! | `IFBUS_CONFIG` | the configuration file | `ifbus.toml` in `$XDG_CONFIG_HOME/ifbus`, `~/.config/ifbus` |
//! | `IFBUS_DATA` | store, token, kept secrets, known certificates | `$XDG_DATA_HOME/ifbus`, `~/.local/share/ifbus` |
//! | `IFBUS_RUNTIME` | what a running orchestrator tells its clients | `$XDG_RUNTIME_DIR/ifbus`, `run` in the data folder |

use std::ffi::OsString;
use std::path::PathBuf;

/// The folders and files of this installation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
    /// The configuration file; need not exist.
    pub config: PathBuf,
    /// The folder of everything that outlives a restart.
    pub data: PathBuf,
    /// The folder of what a running orchestrator tells its clients.
    pub runtime: PathBuf,
}

/// There is no folder to keep anything in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither HOME nor {0} is set; set one of them")]
pub struct NoHome(&'static str);

impl Paths {
    /// The paths of this process.
    ///
    /// # Errors
    /// A folder is needed and neither its variable nor `HOME` is set.
    pub fn of_process() -> Result<Self, NoHome> {
        Self::from_env(&|name| std::env::var_os(name))
    }

    /// The paths by an environment that is handed in. A relative XDG folder is ignored, as its specification asks.
    ///
    /// # Errors
    /// A folder is needed and neither its variable nor `HOME` is set.
    pub fn from_env(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, NoHome> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let xdg = |name: &str| set(name).filter(|path| path.is_absolute()).map(|path| path.join("ifbus"));
        let home =
            |below: &str, name| set("HOME").map(|home| home.join(below).join("ifbus")).ok_or(NoHome(name));
        let config = match set("IFBUS_CONFIG") {
            Some(file) => file,
            None => match xdg("XDG_CONFIG_HOME") {
                Some(folder) => folder.join("ifbus.toml"),
                None => home(".config", "IFBUS_CONFIG")?.join("ifbus.toml"),
            },
        };
        let data = match set("IFBUS_DATA").or_else(|| xdg("XDG_DATA_HOME")) {
            Some(folder) => folder,
            None => home(".local/share", "IFBUS_DATA")?,
        };
        // A data folder of its own (a test, a second installation) brings its own runtime folder along.
        let shared = || if env("IFBUS_DATA").is_none() { xdg("XDG_RUNTIME_DIR") } else { None };
        let runtime = set("IFBUS_RUNTIME").or_else(shared).unwrap_or_else(|| data.join("run"));
        Ok(Self { config, data, runtime })
    }

    /// Other orchestrators by name, beside the configuration; need not exist.
    #[must_use]
    pub fn orchestrators(&self) -> PathBuf {
        self.config.with_file_name("orchestrators.toml")
    }

    /// The token of this installation.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.data.join("token")
    }

    /// Secrets given at `add`.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.data.join("secrets.json")
    }

    /// Certificates trusted at first use.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.data.join("certificates.json")
    }

    /// The store, unless the configuration says otherwise.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.data.join("ifbus.db")
    }

    /// The folder of recordings.
    #[must_use]
    pub fn recordings(&self) -> PathBuf {
        self.data.join("recordings")
    }

    /// Where a background orchestrator writes its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.data.join("orchestrator.log")
    }

    /// Process id and address of the running orchestrator.
    #[must_use]
    pub fn running(&self) -> PathBuf {
        self.runtime.join("orchestrator.json")
    }

    /// Held while an orchestrator runs, so that there is one.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.runtime.join("orchestrator.lock")
    }
}
