use crate::cli::stream::{Frame, Frames};

const STREAM: &[u8] =
    b"retry: 2000\n\nid: b1-7\n\n: alive\n\nid: b1-8\nevent: call.queued\ndata: {\"a\":1}\n\nid: b1-9\r\ndata:x\r\ndata: y\r\n\r\nid: b1-";

fn read(pieces: &[&[u8]]) -> Vec<Frame> {
    let mut frames = Frames::default();
    let mut read = Vec::new();
    for piece in pieces {
        frames.push(piece).unwrap();
        while let Some(frame) = frames.next() {
            read.push(frame);
        }
    }
    read
}

#[test]
fn blocks_are_read_with_id_type_and_data() {
    let frames = read(&[STREAM]);
    assert_eq!(frames.len(), 5);
    assert_eq!(frames[1].id.as_deref(), Some("b1-7"));
    assert_eq!(frames[3].event.as_deref(), Some("call.queued"));
    assert_eq!(frames[3].data, "{\"a\":1}");
    assert_eq!(frames[4].data, "x\ny");
}

#[test]
fn point_20_any_split_gives_the_same_blocks() {
    let whole = read(&[STREAM]);
    for cut in 0..=STREAM.len() {
        let (a, b) = STREAM.split_at(cut);
        assert_eq!(read(&[a, b]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
    assert_eq!(read(&bytes), whole);
}

#[test]
fn a_block_without_end_is_not_kept_for_ever() {
    let mut frames = Frames::default();
    let flood = vec![b'x'; 1 << 20];
    let refused = (0..4).any(|_| {
        let refused = frames.push(&flood).is_err();
        assert!(refused || frames.next().is_none());
        refused
    });
    assert!(refused);
}
