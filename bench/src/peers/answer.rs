//! The answer of a bare server: the bytes of a real one.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

use crate::load::once::Whole;

/// hyper writes these by itself.
const WRITTEN_BY_HYPER: [&str; 2] = ["content-length", "date"];

#[derive(Serialize, Deserialize)]
struct Captured {
    headers: Vec<(String, String)>,
    body: String,
}

/// Keeps a real answer for a bare server.
pub(crate) fn capture(answer: &Whole, path: &Path) -> Result<()> {
    let own = |(name, _): &&(String, String)| !WRITTEN_BY_HYPER.contains(&name.as_str());
    let captured = Captured { headers: answer.headers.iter().filter(own).cloned().collect(), body: answer.text() };
    Ok(fs::write(path, serde_json::to_vec(&captured)?)?)
}

/// One answer to everything, as cheap as hyper can have it.
#[derive(Debug, Clone)]
pub(crate) struct Answer(Arc<(HeaderMap, Bytes)>);

impl Answer {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("{}", path.display()))?;
        let captured: Captured = serde_json::from_slice(&bytes)?;
        let mut headers = HeaderMap::new();
        for (name, value) in captured.headers {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::from_static(value.leak()));
        }
        Ok(Self(Arc::new((headers, captured.body.into()))))
    }

    pub(crate) fn response(&self) -> http::Response<Full<Bytes>> {
        let (headers, body) = &*self.0;
        let mut response = http::Response::new(Full::new(body.clone()));
        headers.clone_into(response.headers_mut());
        response
    }
}
