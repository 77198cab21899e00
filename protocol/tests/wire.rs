//! What the encodings must do beyond reading back what they wrote.

use bytes::Bytes;
use kafkars_protocol::frame::{decode_response, encode_response};
use kafkars_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafkars_protocol::messages::{FetchResponse, InitProducerIdRequest, OffsetFetchRequest};
use kafkars_protocol::records::metadata::{PartitionChangeRecord, TopicRecord};
use kafkars_protocol::wire::{
    DecodeError, EncodeError, Encoded, INSERT_FROM, Insertion, Reader, UnknownTag, Writer,
};
use kafkars_protocol::{Message, Records};

fn encode<M: Message>(message: &M, version: i16) -> Result<Encoded, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, version)?;
    Ok(w.finish())
}

fn fetch_response(records: [Records; 2]) -> FetchResponse {
    let partition = |records| PartitionData {
        records: Some(records),
        ..Default::default()
    };
    let partitions = records.into_iter().map(partition).collect();
    let topic = FetchableTopicResponse {
        partitions,
        ..Default::default()
    };
    FetchResponse {
        responses: vec![topic],
        ..Default::default()
    }
}

#[test]
fn large_and_external_records_are_not_copied() {
    let batch = Bytes::from(vec![7; INSERT_FROM]);
    let hole = Records::External {
        id: 3,
        len: INSERT_FROM,
    };
    let frame = encode_response(1, &fetch_response([batch.clone().into(), hole]), 18).unwrap();

    let whats: Vec<&Insertion> = frame.inserts.iter().map(|insert| &insert.what).collect();
    let external = Insertion::External {
        id: 3,
        len: INSERT_FROM,
    };
    assert_eq!(whats, [&Insertion::Bytes(batch.clone()), &external]);
    assert!(
        frame.buf.len() < 200,
        "only what surrounds the records is in the buffer"
    );
    assert_eq!(frame.total_len, frame.buf.len() + 2 * INSERT_FROM);
    assert_eq!(frame.buf[..4], (frame.total_len as i32 - 4).to_be_bytes());
    assert_eq!(frame.to_bytes(), None, "a hole cannot be filled here");

    // With its hole filled, the frame is the one that has the bytes in it.
    let filled = fetch_response([batch.clone().into(), batch.clone().into()]);
    let mut bytes = Vec::new();
    let mut from = 0;
    for insert in &frame.inserts {
        bytes.extend_from_slice(&frame.buf[from..insert.at]);
        bytes.extend_from_slice(&batch);
        from = insert.at;
    }
    bytes.extend_from_slice(&frame.buf[from..]);
    let whole = encode_response(1, &filled, 18).unwrap().to_bytes().unwrap();
    assert_eq!(bytes, whole);
    assert_eq!(decode_response(whole.slice(4..), 18), Ok((1, filled)));
}

#[test]
fn inserts_inside_tagged_fields_stay_in_place() {
    let large = Bytes::from(vec![1; INSERT_FROM]);
    let mut w = Writer::new();
    let start = w.begin_tag(0);
    w.i8(5);
    w.bytes(&large, true).unwrap();
    w.end_tag(start);
    let mut r = Reader::new(w.finish().to_bytes().unwrap());
    let (tag, mut value) = r.tagged().unwrap();
    assert_eq!((tag, value.i8()), (0, Ok(5)));
    assert_eq!(value.bytes(true), Ok(large));
    assert!(value.end().is_ok() && r.end().is_ok());
}

#[test]
fn small_bytes_are_copied() {
    let response = fetch_response([Bytes::from_static(b"a").into(), Records::default()]);
    assert!(encode(&response, 18).unwrap().inserts.is_empty());
}

#[test]
fn what_a_version_cannot_say_is_refused() {
    let request = OffsetFetchRequest {
        require_stable: true,
        ..Default::default()
    };
    let refused = EncodeError::UnsupportedField {
        field: "OffsetFetchRequest.RequireStable",
        version: 6,
    };
    assert_eq!(encode(&request, 6), Err(refused));
    assert!(encode(&request, 7).is_ok());

    let response = FetchResponse {
        session_id: 5,
        ..Default::default()
    };
    assert!(encode(&response, 7).is_ok());

    let refused = EncodeError::UnexpectedNull {
        field: "OffsetFetchRequest.Topics",
        version: 1,
    };
    let request = OffsetFetchRequest {
        topics: None,
        ..Default::default()
    };
    assert_eq!(encode(&request, 1), Err(refused));
    assert!(encode(&request, 2).is_ok());
}

#[test]
fn unstable_and_unknown_versions_do_not_exist() {
    let message = "InitProducerIdRequest";
    let refused = EncodeError::UnsupportedVersion {
        message,
        version: 6,
    };
    assert_eq!(encode(&InitProducerIdRequest::default(), 6), Err(refused));
    let read = InitProducerIdRequest::decode(&mut Reader::new(vec![0; 64]), 6);
    assert_eq!(
        read,
        Err(DecodeError::UnsupportedVersion {
            message,
            version: 6
        })
    );
}

#[test]
fn records_keep_tags_of_later_releases() {
    let unknown = |tag| UnknownTag {
        tag,
        value: Bytes::from_static(b"later"),
    };
    let record = PartitionChangeRecord {
        isr: Some(vec![1]),
        unknown_tags: vec![unknown(100), unknown(u32::MAX)],
        ..Default::default()
    };
    let bytes = encode(&record, 0).unwrap().to_bytes().unwrap();
    let read = PartitionChangeRecord::decode(&mut Reader::new(bytes), 0);
    assert_eq!(read, Ok(record));

    let record = TopicRecord {
        unknown_tags: vec![unknown(0)],
        ..Default::default()
    };
    let bytes = encode(&record, 0).unwrap().to_bytes().unwrap();
    assert_eq!(TopicRecord::decode(&mut Reader::new(bytes), 0), Ok(record));
}

#[test]
fn hostile_lengths_are_refused_before_memory_is_taken() {
    let read = |bytes: &'static [u8]| Reader::new(bytes).array::<i64>(0, false);
    assert_eq!(
        read(&[0x7f, 0xff, 0xff, 0xff, 0]),
        Err(DecodeError::TooManyElements {
            count: 0x7fff_ffff,
            left: 1
        })
    );
    assert_eq!(
        read(&[0xff, 0xff, 0xff, 0xfe]),
        Err(DecodeError::InvalidLength(-2))
    );
    assert_eq!(
        read(&[0xff, 0xff, 0xff, 0xff]),
        Err(DecodeError::UnexpectedNull)
    );
    let bytes = Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x08, 1][..]).bytes(true);
    assert_eq!(
        bytes,
        Err(DecodeError::Truncated {
            needed: 0x7fff_ffff,
            left: 1
        })
    );
    let varint = Reader::new(&[0xff; 8][..]).unsigned_varint();
    assert_eq!(varint, Err(DecodeError::InvalidVarint));
}

#[test]
fn variable_length_numbers() {
    for value in [0, 1, -1, 63, 64, -65, i32::MAX, i32::MIN] {
        let mut w = Writer::new();
        w.varint(value);
        w.varlong(value.into());
        w.varlong(i64::from(value) << 32);
        let mut r = Reader::new(w.finish().buf);
        assert_eq!(r.varint(), Ok(value));
        assert_eq!(r.varlong(), Ok(value.into()));
        assert_eq!(r.varlong(), Ok(i64::from(value) << 32));
        assert!(r.end().is_ok());
    }
    let mut w = Writer::new();
    w.unsigned_varint(300);
    w.varint(-2);
    assert_eq!(&w.finish().buf[..], [0xac, 0x02, 0x03]);
}
