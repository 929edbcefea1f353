//! Whose region the data in a data directory is: a pipeline's directory never becomes another region's.
//!
//! `DATA/region` holds the name of the home region, once it has one; `DATA/regions/NAME/` is the directory of another. In: the regions
//! of the configuration. Invariant: hits that wait on disk are shipped to hubs of the region they were taken for, or the edge does not start.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why the regions of the configuration do not fit the data directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegionError {
    /// Reading or writing failed.
    #[error("cannot use {path:?}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The home region has another name than before.
    #[error(
        "region = {configured:?}, but the hits in {data_dir:?} were taken for the region {found:?}: start with that one, and with an empty \
         data_dir for another"
    )]
    OtherHome {
        /// The directory.
        data_dir: PathBuf,
        /// The name in the configuration.
        configured: String,
        /// The name it had.
        found: String,
    },
    /// Data of a region that is not configured any more.
    #[error(
        "{0:?} holds data of a region that [regions] does not name: name it until everything is shipped, then remove the directory"
    )]
    Forgotten(PathBuf),
}

/// Where the pipeline of a region other than the home region lies.
pub(crate) fn directory(data_dir: &Path, region: &str) -> PathBuf {
    data_dir.join("regions").join(region)
}

/// Checks that the data directory holds nothing of a region other than `home` and `others`, and writes down what `home` is called.
pub(crate) fn check<'a>(
    data_dir: &Path,
    home: &str,
    others: impl IntoIterator<Item = &'a str>,
) -> Result<(), RegionError> {
    check_home(data_dir, home)?;
    let configured: Vec<PathBuf> = others.into_iter().map(|region| directory(data_dir, region)).collect();
    let root = data_dir.join("regions");
    let failed = |source| RegionError::File { path: root.clone(), source };
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if !configured.contains(&path) {
            return Err(RegionError::Forgotten(path));
        }
    }
    Ok(())
}

fn check_home(data_dir: &Path, home: &str) -> Result<(), RegionError> {
    let path = data_dir.join("region");
    let failed = |source| RegionError::File { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(found) if found == home => durable::sync_name(&path).map_err(failed),
        Ok(found) => {
            let (data_dir, configured) = (data_dir.to_owned(), home.to_owned());
            Err(RegionError::OtherHome { data_dir, configured, found })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && home.is_empty() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(data_dir, home).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn write(data_dir: &Path, home: &str) -> io::Result<()> {
    durable::create_dir_all(data_dir)?;
    let temporary = data_dir.join("region.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(home.as_bytes())?;
    file.sync_all()?;
    durable::rename(&temporary, &data_dir.join("region"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_region_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        // An edge that has always been the only region may be given a name, once.
        assert!(check(&data, "", []).is_ok() && !data.exists());
        assert!(check(&data, "us", []).is_ok() && check(&data, "us", []).is_ok());
        for other in ["eu", ""] {
            let said = check(&data, other, []).unwrap_err().to_string();
            assert!(said.contains("taken for the region \"us\""), "{said}");
        }
    }

    #[test]
    fn data_of_a_region_is_not_forgotten() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory(data.path(), "eu")).unwrap();
        assert!(check(data.path(), "us", ["asia", "eu"]).is_ok());
        let said = check(data.path(), "us", ["asia"]).unwrap_err().to_string();
        assert!(said.contains("regions/eu") && said.contains("[regions]"), "{said}");
    }
}
