use super::*;

/// The header of a file with this many bytes of samples.
fn header(riff: u32, data: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&riff.to_le_bytes());
    header[8..40].copy_from_slice(&FORMAT);
    header[40..].copy_from_slice(&data.to_le_bytes());
    header
}

#[test]
fn a_whole_file_tells_its_length() {
    assert_eq!(length(&header(17_956, 17_920)), Ok(17_964));
    assert_eq!(length(&header(36, 0)), Ok(44));
    assert_eq!(length(&header(u32::MAX, u32::MAX - 36)), Ok(u64::from(u32::MAX) + 8));
}

#[test]
fn a_file_that_is_being_written_is_told_from_a_whole_one() {
    // what Asterisk 16 and 22 show while they record, and the moment between their two corrections
    for (riff, data) in [(0, 0), (17_956, 0), (0, 17_920), (100, 100), (u32::MAX, u32::MAX)] {
        assert_eq!(length(&header(riff, data)), Err(BadWav::Unfinished), "{riff} {data}");
    }
}

#[test]
fn any_other_format_is_refused() {
    for (place, byte) in [(0, b'X'), (8, b'A'), (20, 7), (22, 2), (25, 0x3e), (34, 8), (36, b'L')] {
        let mut header = header(36, 0);
        header[place] = byte;
        assert_eq!(length(&header), Err(BadWav::OtherFormat), "byte {place}");
    }
}

#[test]
fn what_is_written_is_what_is_read() {
    for samples in [0_u64, 1, 8000] {
        assert_eq!(length(&super::header(samples).unwrap()), Ok(HEADER as u64 + 2 * samples));
    }
    assert_eq!(super::header(u64::from(u32::MAX)), None, "more than a header can say");
}
