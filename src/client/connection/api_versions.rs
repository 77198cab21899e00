//! The first exchange on a connection: which APIs, versions and features the broker has.
use std::collections::BTreeMap;

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frame_reader::FrameReader;
use super::transport::broken;
use crate::client::errors::{ClientError, Result};
use crate::protocol::header::RequestHeader;
use crate::protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use crate::protocol::wire::Reader;
use crate::protocol::{ApiKey, ErrorCode, Message, Request, frame};

/// `ClientSoftwareName` of KIP-511.
const SOFTWARE_NAME: &str = "kafkars";

/// What a broker announced about itself.
#[derive(Debug, Clone, Default)]
pub struct ApiVersions {
    ranges: BTreeMap<i16, (i16, i16)>,
    supported_features: BTreeMap<String, (i16, i16)>,
    finalized_features: BTreeMap<String, i16>,
    finalized_features_epoch: i64,
}

impl ApiVersions {
    /// The highest version in both the broker's range and `min..=max`.
    pub fn choose(&self, key: ApiKey, min: i16, max: i16) -> Option<i16> {
        let (broker_min, broker_max) = self.range(key)?;
        let version = broker_max.min(max);
        (version >= broker_min.max(min)).then_some(version)
    }

    /// The broker's range for an API, if it has the API.
    pub fn range(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&key.code()).copied()
    }

    /// The finalised level of a feature such as `transaction.version`; 0 if it is absent.
    pub fn finalized_feature(&self, name: &str) -> i16 {
        self.finalized_features.get(name).copied().unwrap_or(0)
    }

    /// The ranges of all APIs, known or not, by key.
    pub fn ranges(&self) -> impl Iterator<Item = (i16, (i16, i16))> {
        self.ranges.iter().map(|(key, range)| (*key, *range))
    }

    /// The features that the node supports, with their lowest and highest level.
    pub fn supported_features(&self) -> impl Iterator<Item = (&str, (i16, i16))> {
        let features = self.supported_features.iter();
        features.map(|(name, range)| (name.as_str(), *range))
    }

    /// The offset at which the finalised levels were read, if the node knows them.
    pub fn finalized_features_epoch(&self) -> Option<i64> {
        Some(self.finalized_features_epoch).filter(|epoch| *epoch >= 0)
    }

    fn from_response(response: ApiVersionsResponse) -> Self {
        let ranges = response.api_keys.iter();
        let supported = response.supported_features.into_iter();
        let features = response.finalized_features.into_iter();
        Self {
            ranges: ranges
                .map(|api| (api.api_key, (api.min_version, api.max_version)))
                .collect(),
            supported_features: supported
                .map(|f| (f.name, (f.min_version, f.max_version)))
                .collect(),
            finalized_features: features.map(|f| (f.name, f.max_version_level)).collect(),
            finalized_features_epoch: response.finalized_features_epoch,
        }
    }
}

/// Asks with our newest version and falls back to the one that the broker names in its refusal.
pub async fn negotiate<S>(
    stream: &mut S,
    reader: &mut FrameReader,
    client_id: &str,
) -> Result<ApiVersions>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = exchange(
        stream,
        reader,
        client_id,
        ApiVersionsRequest::MAX_VERSION,
        0,
    )
    .await?;
    let response = match ErrorCode::from_code(response.error_code) {
        ErrorCode::UnsupportedVersion => {
            let offered = response.api_keys.iter().find(|api| api.api_key == 18);
            let version = offered.map_or(0, |api| api.max_version);
            let version = version.clamp(0, ApiVersionsRequest::MAX_VERSION - 1);
            exchange(stream, reader, client_id, version, 1).await?
        }
        _ => response,
    };
    ClientError::check(response.error_code, None)?;
    Ok(ApiVersions::from_response(response))
}

async fn exchange<S>(
    stream: &mut S,
    reader: &mut FrameReader,
    client_id: &str,
    version: i16,
    correlation_id: i32,
) -> Result<ApiVersionsResponse>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let header = RequestHeader {
        request_api_key: ApiVersionsRequest::KEY.code(),
        request_api_version: version,
        correlation_id,
        client_id: Some(client_id.to_owned()),
    };
    let mut request = ApiVersionsRequest::default();
    if version >= 3 {
        request.client_software_name = SOFTWARE_NAME.to_owned();
        request.client_software_version = env!("CARGO_PKG_VERSION").to_owned();
    }
    let frame = frame::encode_request(&header, &request, version)?;
    let frame = frame
        .to_bytes()
        .ok_or_else(|| ClientError::protocol("an ApiVersions request holds no file ranges"))?;
    stream
        .write_all(&frame)
        .await
        .map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))?;
    decode(read_frame(stream, reader).await?, version, correlation_id)
}

/// Decodes the response; a refusal of the version itself is always in version 0.
fn decode(frame: Bytes, version: i16, correlation_id: i32) -> Result<ApiVersionsResponse> {
    let mut body = frame;
    if body.len() < 6 {
        return Err(ClientError::protocol(
            "the ApiVersions response is too short",
        ));
    }
    let answered = body.split_to(4);
    if *answered != correlation_id.to_be_bytes() {
        return Err(ClientError::protocol(
            "the ApiVersions response has a foreign correlation id",
        ));
    }
    let refused = *body.slice(..2) == ErrorCode::UnsupportedVersion.code().to_be_bytes();
    let version = if refused { 0 } else { version };
    Ok(ApiVersionsResponse::decode(
        &mut Reader::new(body),
        version,
    )?)
}

pub(super) async fn read_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
    reader: &mut FrameReader,
) -> Result<Bytes> {
    loop {
        let invalid = |error: super::frame_reader::InvalidFrameSize| {
            ClientError::protocol(format!("{error}; is this a Kafka broker's plain listener?"))
        };
        if let Some(frame) = reader.next_frame().map_err(invalid)? {
            return Ok(frame);
        }
        let limit = reader.prepare().map_err(invalid)?;
        let mut room = reader.buffer().limit(limit);
        match stream.read_buf(&mut room).await {
            Ok(0) => {
                return Err(ClientError::disconnected(
                    "the broker closed the connection",
                ));
            }
            Ok(_) => {}
            Err(error) => return Err(broken(&error)),
        }
    }
}
