//! The C interface of libchdb (26.7), opened at run time; the only module with unsafe code.
//!
//! In: the path of `libchdb.so`. Out: [`Connection`]s that run one statement after the other. Invariants: the library is never
//! unloaded (its threads outlive every connection, and a thread that exits after `dlclose` crashes); signal handlers of the
//! engine are switched off before anything else; every handle is freed once, by `Drop`, by the thread that made it.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use super::EngineError;

type RawConnection = *mut c_void;
type RawResult = *mut c_void;
type RawInsert = *mut c_void;

/// `chdb_query_analysis_v1`: versioned by its size.
#[repr(C)]
#[derive(Default)]
struct Analysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

/// Declares the functions once: a field each, filled by name when the library is opened.
macro_rules! functions {
    ($($name:ident: fn($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        /// libchdb's functions, valid for the life of the process.
        pub(crate) struct Library { $($name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)* }

        impl Library {
            /// SAFETY: `library` must be libchdb 26.x and must never be closed.
            unsafe fn resolve(library: &libloading::Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of chdb.h 26.7; the caller keeps the library open.
                unsafe {
                    Ok(Self { $($name: *library.get(concat!(stringify!($name), "\0").as_bytes())?,)* })
                }
            }
        }
    };
}

functions! {
    chdb_version: fn() -> *const c_char;
    chdb_set_signal_handlers_enabled: fn(c_int);
    chdb_connect: fn(c_int, *const *const c_char) -> *mut RawConnection;
    chdb_close_conn: fn(*mut RawConnection);
    chdb_classify_query_n: fn(RawConnection, *const u8, usize, *const u8, usize, *mut Analysis) -> c_int;
    chdb_query_with_params_n: fn(RawConnection, *const u8, usize, *const u8, usize,
        *const *const u8, *const usize, *const *const u8, *const usize, usize) -> RawResult;
    chdb_stream_insert_with_params_n: fn(RawConnection, *const u8, usize, *const u8, usize,
        *const *const u8, *const usize, *const *const u8, *const usize, usize) -> RawInsert;
    chdb_stream_append: fn(RawInsert, *const u8, usize) -> c_int;
    chdb_stream_done: fn(RawInsert) -> RawResult;
    chdb_stream_cancel_insert: fn(RawInsert);
    chdb_stream_insert_error: fn(RawInsert) -> *const c_char;
    chdb_destroy_insert_stream: fn(RawInsert);
    chdb_result_buffer: fn(RawResult) -> *const u8;
    chdb_result_length: fn(RawResult) -> usize;
    chdb_result_error: fn(RawResult) -> *const c_char;
    chdb_result_rows_read: fn(RawResult) -> u64;
    chdb_result_bytes_read: fn(RawResult) -> u64;
    chdb_result_storage_rows_read: fn(RawResult) -> u64;
    chdb_result_storage_bytes_read: fn(RawResult) -> u64;
    chdb_result_rows_written: fn(RawResult) -> u64;
    chdb_result_bytes_written: fn(RawResult) -> u64;
    chdb_destroy_query_result: fn(RawResult);
}

/// Why the engine did not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// No such file.
    #[error("library {} does not exist: run `make setup`, or set `library` to the path of libchdb.so", .0.display())]
    Missing(PathBuf),
    /// The file is there and is not libchdb 26.x.
    #[error("library {} cannot be loaded: {source}; run `make setup` to install the pinned version", path.display())]
    Load { path: PathBuf, source: libloading::Error },
}

impl Library {
    /// Loads libchdb for the rest of the process.
    pub(crate) fn open(path: &Path) -> Result<&'static Self, OpenError> {
        if !path.exists() {
            return Err(OpenError::Missing(path.to_owned()));
        }
        // Absolute: a name without a slash would be searched in the system's directories.
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let failed = |source| OpenError::Load { path: path.to_owned(), source };
        // SAFETY: the initialisers of libchdb expect nothing of the process; it is loaded once, before any use.
        let library = unsafe { libloading::Library::new(path) }.map_err(failed)?;
        // Leaked on purpose: never unloaded, see the head of this file.
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        // SAFETY: never closed, as it was just leaked.
        let functions = unsafe { Self::resolve(library) }.map_err(failed)?;
        // SAFETY: the first call into the library, as chdb.h asks: before any connection.
        unsafe { (functions.chdb_set_signal_handlers_enabled)(0) };
        Ok(Box::leak(Box::new(functions)))
    }

    /// The library's own version, such as `26.7.3`.
    pub(crate) fn version(&self) -> String {
        // SAFETY: a static string with a terminating zero.
        text(unsafe { (self.chdb_version)() }).unwrap_or_default()
    }

    /// Opens a connection. The first one of the process boots the engine with the server options among `arguments`; later
    /// ones need the same `--path`. The engine tells its reason on stderr only.
    pub(crate) fn connect(&'static self, arguments: &[String]) -> Result<Connection, EngineError> {
        let refused = |why: &str| {
            EngineError::own(210, "NETWORK_ERROR", &format!("No connection to the engine: {why}"))
        };
        let owned: Vec<CString> = std::iter::once("clickhouse".to_owned())
            .chain(arguments.iter().cloned())
            .map(CString::new)
            .collect::<Result<_, _>>()
            .map_err(|_| refused("an argument contains a zero byte"))?;
        let pointers: Vec<*const c_char> = owned.iter().map(|argument| argument.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).map_err(|_| refused("too many arguments"))?;
        // SAFETY: `count` zero-terminated strings that outlive the call; the engine copies them.
        let raw = unsafe { (self.chdb_connect)(count, pointers.as_ptr()) };
        let raw = NonNull::new(raw).ok_or_else(|| refused("its reason stands on stderr"))?;
        Ok(Connection { library: self, raw })
    }

    /// Takes the outcome out of a result handle and frees it.
    fn take(&self, raw: RawResult) -> Result<Output, EngineError> {
        if raw.is_null() {
            return Err(EngineError::from_engine("the engine returned no result".to_owned()));
        }
        // SAFETY: `raw` is a live handle of this library; its buffers live until it is destroyed below, and are copied before.
        unsafe {
            let error = text((self.chdb_result_error)(raw));
            let buffer = (self.chdb_result_buffer)(raw);
            let length = (self.chdb_result_length)(raw);
            let body = if error.is_some() || buffer.is_null() || length == 0 {
                Vec::new()
            } else {
                std::slice::from_raw_parts(buffer, length).to_vec()
            };
            let output = Output {
                body,
                result_rows: (self.chdb_result_rows_read)(raw),
                result_bytes: (self.chdb_result_bytes_read)(raw),
                read_rows: (self.chdb_result_storage_rows_read)(raw),
                read_bytes: (self.chdb_result_storage_bytes_read)(raw),
                written_rows: (self.chdb_result_rows_written)(raw),
                written_bytes: (self.chdb_result_bytes_written)(raw),
            };
            (self.chdb_destroy_query_result)(raw);
            error.map_or(Ok(output), |error| Err(EngineError::from_engine(error)))
        }
    }
}

/// What a statement gave.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// The formatted result.
    pub(crate) body: Vec<u8>,
    /// Rows and bytes of the result, in the engine's own form.
    pub(crate) result_rows: u64,
    pub(crate) result_bytes: u64,
    /// Rows and bytes read from tables.
    pub(crate) read_rows: u64,
    pub(crate) read_bytes: u64,
    /// Rows and bytes written, those of dependent materialized views included.
    pub(crate) written_rows: u64,
    pub(crate) written_bytes: u64,
}

/// Named values of `{name:Type}` placeholders, in the form that the engine takes: TSV-escaped.
pub(crate) type Params = [(String, String)];

/// A connection: one statement at a time, by the thread that opened it (the raw pointer makes it `!Send`).
pub(crate) struct Connection {
    library: &'static Library,
    raw: NonNull<RawConnection>,
}

impl Connection {
    /// How many statements the engine's parser sees in a text; 0 if it does not parse.
    pub(crate) fn count_statements(&mut self, sql: &[u8]) -> u32 {
        let mut analysis = Analysis { struct_size: 16, ..Analysis::default() };
        // SAFETY: `analysis` has the size that it states; the target database may be null.
        let state = unsafe {
            (self.library.chdb_classify_query_n)(
                self.handle(),
                sql.as_ptr(),
                sql.len(),
                std::ptr::null(),
                0,
                &raw mut analysis,
            )
        };
        if state == 0 { analysis.statement_count } else { 0 }
    }

    /// Runs a statement to its end; the whole result is in memory.
    pub(crate) fn query(&mut self, sql: &[u8], format: &str, params: &Params) -> Result<Output, EngineError> {
        let bound = Bound::new(params);
        // SAFETY: every pointer goes with its length, and all outlive the call; the engine keeps none of them.
        let raw = unsafe {
            (self.library.chdb_query_with_params_n)(
                self.handle(),
                sql.as_ptr(),
                sql.len(),
                format.as_ptr(),
                format.len(),
                bound.names.as_ptr(),
                bound.name_lens.as_ptr(),
                bound.values.as_ptr(),
                bound.value_lens.as_ptr(),
                params.len(),
            )
        };
        self.library.take(raw)
    }

    /// Runs `INSERT INTO … ` (no FORMAT clause) with data in `format`; returns when the engine has finished it.
    pub(crate) fn insert(
        &mut self,
        sql: &[u8],
        format: &str,
        params: &Params,
        data: &[&[u8]],
    ) -> Result<Output, EngineError> {
        let bound = Bound::new(params);
        // SAFETY: as in `query`.
        let raw = unsafe {
            (self.library.chdb_stream_insert_with_params_n)(
                self.handle(),
                sql.as_ptr(),
                sql.len(),
                format.as_ptr(),
                format.len(),
                bound.names.as_ptr(),
                bound.name_lens.as_ptr(),
                bound.values.as_ptr(),
                bound.value_lens.as_ptr(),
                params.len(),
            )
        };
        let insert = OpenInsert { library: self.library, raw };
        insert.check()?;
        for chunk in data.iter().filter(|chunk| !chunk.is_empty()) {
            insert.append(chunk)?;
        }
        insert.finish()
    }

    fn handle(&self) -> RawConnection {
        // SAFETY: `raw` was returned by `chdb_connect` and is closed only in `drop`.
        unsafe { *self.raw.as_ptr() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: closed once; every result and insert of it is gone, as they borrow it.
        unsafe { (self.library.chdb_close_conn)(self.raw.as_ptr()) };
    }
}

/// An insert that has begun. Dropped before `finish`, it is cancelled: the rows that were not yet a block are gone.
struct OpenInsert {
    library: &'static Library,
    raw: RawInsert,
}

impl OpenInsert {
    /// The error that the insert met so far.
    fn check(&self) -> Result<(), EngineError> {
        if self.raw.is_null() {
            return Err(EngineError::from_engine("the engine returned no insert".to_owned()));
        }
        // SAFETY: a live handle; the text lives as long as it and is copied.
        match text(unsafe { (self.library.chdb_stream_insert_error)(self.raw) }) {
            Some(error) => Err(EngineError::from_engine(error)),
            None => Ok(()),
        }
    }

    fn append(&self, chunk: &[u8]) -> Result<(), EngineError> {
        // SAFETY: pointer and length belong together; the engine copies the bytes.
        if unsafe { (self.library.chdb_stream_append)(self.raw, chunk.as_ptr(), chunk.len()) } == 0 {
            return Ok(());
        }
        self.check()?;
        Err(EngineError::from_engine("the engine refused the data of the insert".to_owned()))
    }

    fn finish(self) -> Result<Output, EngineError> {
        // SAFETY: a live handle, finished once; `drop` destroys it afterwards, as chdb.h asks.
        self.library.take(unsafe { (self.library.chdb_stream_done)(self.raw) })
    }
}

impl Drop for OpenInsert {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: destroyed once; cancelling a finished insert does nothing.
            unsafe {
                (self.library.chdb_stream_cancel_insert)(self.raw);
                (self.library.chdb_destroy_insert_stream)(self.raw);
            }
        }
    }
}

/// Parameters as the parallel arrays that the C functions take. Borrows them through pointers: keep `params` alive.
struct Bound {
    names: Vec<*const u8>,
    name_lens: Vec<usize>,
    values: Vec<*const u8>,
    value_lens: Vec<usize>,
}

impl Bound {
    fn new(params: &Params) -> Self {
        Self {
            names: params.iter().map(|(name, _)| name.as_ptr()).collect(),
            name_lens: params.iter().map(|(name, _)| name.len()).collect(),
            values: params.iter().map(|(_, value)| value.as_ptr()).collect(),
            value_lens: params.iter().map(|(_, value)| value.len()).collect(),
        }
    }
}

/// Copies a C string; `None` for a null pointer.
fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: every string of this interface ends with a zero and lives while its handle does.
    Some(unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}
