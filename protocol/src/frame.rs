//! Whole frames: four bytes of length, a header, a message.
//!
//! ```text
//! length i32 │ header: api key i16, version i16, correlation id i32, client id, [tags] │ request
//! length i32 │ header: correlation id i32, [tags]                                      │ response
//! ```

use bytes::Bytes;

use crate::header::{RequestHeader, ResponseHeader};
use crate::wire::{DecodeError, EncodeError, Encoded, Reader, Writer};
use crate::{ApiKey, Message, Request, Response};

/// A request with its length in front. The header's key and version are filled in from `R` and
/// `version`.
pub fn encode_request<R: Request>(
    header: &RequestHeader,
    request: &R,
    version: i16,
) -> Result<Encoded, EncodeError> {
    let header = RequestHeader {
        request_api_key: R::KEY.code(),
        request_api_version: version,
        ..header.clone()
    };
    let mut w = Writer::with_capacity(128);
    w.i32(0);
    header.encode(&mut w, R::KEY.request_header_version(version))?;
    request.encode(&mut w, version)?;
    w.finish_frame()
}

/// A response with its length in front.
pub fn encode_response<R: Response>(
    correlation_id: i32,
    response: &R,
    version: i16,
) -> Result<Encoded, EncodeError> {
    let mut w = Writer::with_capacity(128);
    w.i32(0);
    let header = ResponseHeader { correlation_id };
    header.encode(&mut w, R::KEY.response_header_version(version))?;
    response.encode(&mut w, version)?;
    w.finish_frame()
}

/// Reads a request's header; `r` starts behind the length and then stands at the request. The
/// version may be one that we do not have: ApiVersions answers that, anything else closes the
/// connection.
pub fn decode_request_header(r: &mut Reader) -> Result<RequestHeader, DecodeError> {
    let mut peek = r.clone();
    let (key, version) = (peek.i16()?, peek.i16()?);
    let key = ApiKey::from_i16(key).ok_or(DecodeError::UnknownApiKey(key))?;
    RequestHeader::decode(r, key.request_header_version(version))
}

/// Reads a whole response, without its length: the correlation id and the body.
pub fn decode_response<R: Response>(frame: Bytes, version: i16) -> Result<(i32, R), DecodeError> {
    let mut r = Reader::new(frame);
    let header = ResponseHeader::decode(&mut r, R::KEY.response_header_version(version))?;
    Ok((header.correlation_id, R::decode(&mut r, version)?))
}
