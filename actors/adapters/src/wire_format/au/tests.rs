use super::*;

fn header(coding: u32, length: u32) -> [u8; HEADER] {
    let mut bytes = *b".snd\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\x1f\x40\0\0\0\x01";
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[12..16].copy_from_slice(&coding.to_be_bytes());
    bytes
}

#[test]
fn a_header_tells_where_the_samples_are_and_how_many() {
    let au = Au::parse(&header(1, 25_760)).unwrap();
    assert_eq!((au.offset, au.samples(), au.coding), (32, 25_760, Coding::MuLaw));
    let au = Au::parse(&header(3, 34_560)).unwrap();
    assert_eq!((au.samples(), au.coding), (17_280, Coding::Linear));
    assert_eq!(Au::parse(&header(27, 1)).unwrap().coding, Coding::ALaw);
}

#[test]
fn a_file_that_is_being_written_is_told_from_one_that_is_none() {
    assert_eq!(Au::parse(&header(1, u32::MAX)), Err(BadAu::Unfinished));
    assert_eq!(Au::parse(&header(2, 1)), Err(BadAu::OtherFormat));
    let mut other = header(1, 1);
    other[0] = b'R';
    assert_eq!(Au::parse(&other), Err(BadAu::OtherFormat));
    let mut far = header(1, 1);
    far[4] = 1;
    assert_eq!(Au::parse(&far), Err(BadAu::OtherFormat));
}

#[test]
fn samples_are_those_of_g711() {
    assert_eq!(Coding::MuLaw.samples(&[0xff, 0x7f, 0x80, 0x00]), [0, 0, 32_124, -32_124]);
    assert_eq!(Coding::ALaw.samples(&[0xd5, 0x55, 0xaa, 0x2a]), [8, -8, 32_256, -32_256]);
    assert_eq!(Coding::Linear.samples(&[0x01, 0x00, 0xff]), [256], "half a sample waits");
}
