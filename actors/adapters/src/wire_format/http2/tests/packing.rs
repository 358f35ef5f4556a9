//! Headers against the examples of RFC 7541, appendix C.

use super::super::hpack::{BadBlock, Decoder, Field, LIST_MAX};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn shown(fields: &[Field]) -> String {
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_examples_of_the_standard_are_read() {
    for blocks in [
        // C.3, plain
        [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ],
        // C.4, with short codes
        [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ],
    ] {
        let mut decoder = Decoder::default();
        let read: Vec<String> =
            blocks.iter().map(|block| shown(&decoder.read(&bytes(block)).unwrap())).collect();
        assert_eq!(
            read,
            [
                ":method=GET :scheme=http :path=/ :authority=www.example.com",
                ":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache",
                ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value",
            ]
        );
    }
}

#[test]
fn a_smaller_table_forgets() {
    let mut decoder = Decoder::default();
    decoder.read(&bytes("400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65")).unwrap();
    assert_eq!(shown(&decoder.read(&[0xbe]).unwrap()), "custom-key=custom-value");
    assert_eq!(decoder.read(&[0x20, 0xbe]), Err(BadBlock::Index));
}

#[test]
fn what_cannot_be_read_is_said() {
    let read = |block: &[u8]| Decoder::default().read(block).unwrap_err();
    assert_eq!(read(&[0x80]), BadBlock::Index);
    assert_eq!(read(&[0xbe]), BadBlock::Index);
    assert_eq!(read(&[0x40, 5, b'a']), BadBlock::Short);
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), BadBlock::Number);
    // a table beyond ours, and one in the middle
    assert_eq!(read(&[0x3f, 0xe2, 0x1f]), BadBlock::TableSize);
    assert_eq!(read(&[0x82, 0x20]), BadBlock::TableSize);
    // a text filled up with zeros, with a whole byte, and with the end mark in it
    for code in
        [&[0x40, 0x81, 0x18, 0][..], &[0x40, 0x82, 0x1f, 0xff, 0], &[0x40, 0x84, 255, 255, 255, 255, 0]]
    {
        assert_eq!(read(code), BadBlock::Text);
    }
}

#[test]
fn a_small_block_that_would_become_a_large_one_is_refused() {
    let mut decoder = Decoder::default();
    let long = "x".repeat(3900);
    decoder.read(&super::packed(&[("a", &long)])).unwrap();
    assert_eq!(decoder.read(&[0xbe; 8000]), Err(BadBlock::TooMuch));
    assert_eq!(decoder.read(&[0xbe; 4]).unwrap().len(), 4, "{LIST_MAX}");
}
