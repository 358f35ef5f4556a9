#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ifbus_adapters::fuzz::http2(data));
