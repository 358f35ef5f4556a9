//! What goes in comes out, whole or not at all.

use std::io::Cursor;
use std::sync::mpsc;

use ifbus_call::RecordingId;

use super::{Archive, Files, InMemory, Kept, Part, wav};

fn recording(number: u128) -> RecordingId {
    RecordingId::new(1, number)
}

fn part_of(samples: &[i16]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, wav::FORMAT).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

fn samples_of(file: &[u8]) -> Vec<i16> {
    hound::WavReader::new(file).unwrap().into_samples().map(Result::unwrap).collect()
}

fn put(archive: &dyn Archive, recording: RecordingId, segment: u16, bytes: &[u8]) {
    let part = Part { recording, segment };
    archive.begin(part);
    for piece in bytes.chunks(7) {
        archive.append(part, piece.to_vec());
    }
}

fn finished(archive: &dyn Archive, recording: RecordingId, segments: &[u16]) -> Result<Kept, String> {
    let (told, hears) = mpsc::channel();
    archive.finish(recording, segments.to_vec(), Box::new(move |kept| told.send(kept).unwrap()));
    hears.recv().unwrap()
}

#[test]
fn parts_become_one_file_in_their_order_on_disk_and_in_memory_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _thread) = Files::open(&folder.path().join("recordings")).unwrap();
    let memory = InMemory::default();
    let id = recording(1);
    for archive in [&files as &dyn Archive, &memory] {
        put(archive, id, 1, &part_of(&[3, 4]));
        put(archive, id, 0, &part_of(&[9, 9, 9]));
        put(archive, id, 0, &part_of(&[1, 2])); // a second try takes the place of the first
    }
    let on_disk = finished(&files, id, &[0, 1]).unwrap();
    assert_eq!(on_disk, finished(&memory, id, &[0, 1]).unwrap());
    let file = std::fs::read(Files::path(&folder.path().join("recordings"), id)).unwrap();
    assert_eq!(samples_of(&file), [1, 2, 3, 4]);
    assert_eq!((on_disk.bytes, on_disk.seconds), (file.len() as u64, 4.0 / 8000.0));
    assert_eq!(on_disk.sha256, super::files::digest(file.as_slice()).unwrap().1);
    assert_eq!(memory.file(id).unwrap(), file);
    let left = std::fs::read_dir(folder.path().join("recordings")).unwrap().count();
    assert_eq!(left, 1, "the parts are gone");
}

#[test]
fn a_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (files, _thread) = Files::open(folder.path()).unwrap();
    put(&files, recording(1), 0, &part_of(&[1]));
    finished(&files, recording(1), &[0]).unwrap();
    let mode = std::fs::metadata(Files::path(folder.path(), recording(1))).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_no_whole_wav_file_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _thread) = Files::open(folder.path()).unwrap();
    let whole = part_of(&[1, 2, 3, 4]);
    let stereo = {
        let mut bytes = whole.clone();
        bytes[22] = 2;
        bytes
    };
    for bad in [&whole[..whole.len() - 3], &whole[..20], &stereo, b"not a sound", b""] {
        put(&files, recording(2), 0, bad);
        assert!(finished(&files, recording(2), &[0]).is_err(), "{} bytes", bad.len());
    }
    assert!(finished(&files, recording(3), &[0]).is_err(), "a part that never came");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}
