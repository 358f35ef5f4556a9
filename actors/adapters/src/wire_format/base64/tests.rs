use super::decode;

#[test]
fn the_examples_of_the_standard_are_read() {
    for (text, bytes) in [
        ("", ""),
        ("Zg==", "f"),
        ("Zm8=", "fo"),
        ("Zm9v", "foo"),
        ("Zm9vYg==", "foob"),
        ("Zm9vYmFy", "foobar"),
    ] {
        assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
    }
    assert_eq!(decode(b"//79").as_deref(), Some(&[0xff, 0xfe, 0xfd][..]));
}

#[test]
fn what_is_no_base64_is_refused() {
    for text in ["Z", "Zg=", "Zg", "Z===", "====", "Zm9v\n", "Z=g=", "Zm9v!AAA", "-ERR no reply!!"] {
        assert_eq!(decode(text.as_bytes()), None, "{text}");
    }
}
