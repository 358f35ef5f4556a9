//! Recordings: begun, stopped, shown, and their files, whole and in parts.

use ifbus_fleet::archive::Files;
use ifbus_fleet::view::RecordingStatus;
use serde_json::json;

use super::fixture::{Asked, OWN, Served, recording, serve, serve_with, view};

fn stored(served: &Served) -> ifbus_fleet::view::RecordingView {
    let mut stored = recording(view(5, 5).id, RecordingStatus::Stored);
    stored.sha256 = Some("00ff".to_owned() + &"0".repeat(60));
    served.fake.board.show_recording(stored.clone());
    stored
}

#[actix_web::test]
async fn a_recording_is_begun_stopped_listed_and_shown_by_its_ending() {
    let served = serve();
    let call = view(5, 5);
    served.fake.board.show_call(call.clone());
    let begun = served.ask("POST", &format!("/v1/calls/{}/recordings", call.id), "").await;
    assert_eq!((begun.status, &begun.json()["status"]), (202, &json!("recording")));
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(begun.headers["location"], format!("/v1/recordings/{id}"));
    let ending = &id[id.len() - 6..];
    let stopped = served.ask("POST", &format!("/v1/recordings/{ending}/stop"), "").await;
    assert_eq!((stopped.status, &stopped.json()["status"]), (202, &json!("stopping")));
    let id = id.parse().unwrap();
    assert_eq!(served.fake.asked(), [Asked::Record(call.id), Asked::StopRecording(id)]);
    let shown = served.ask("GET", &format!("/v1/recordings/{}", ending.to_lowercase()), "").await.json();
    assert_eq!(shown["id"], id.to_string());
    assert_eq!(served.ask("GET", "/v1/recordings", "").await.json()["data"][0]["id"], id.to_string());
    for path in ["/v1/recordings/rec_nobody", "/v1/recordings/ZZZZZZ/file"] {
        assert_eq!(served.ask("GET", path, "").await.problem(), "unknown_recording");
    }
}

#[actix_web::test]
async fn a_file_is_there_only_when_it_is_stored() {
    let served = serve();
    for status in [RecordingStatus::Recording, RecordingStatus::Stopping, RecordingStatus::Failed] {
        let mut view = recording(view(5, 5).id, status);
        view.why = (status == RecordingStatus::Failed).then(|| "the server has no part of it".to_owned());
        served.fake.board.show_recording(view.clone());
        let answer = served.ask("GET", &format!("/v1/recordings/{}/file", view.id), "").await;
        assert_eq!((answer.status, &*answer.problem()), (409, "wrong_state"));
        assert!(answer.detail().contains(status.as_str()), "{}", answer.detail());
    }
    let gone = stored(&served);
    let answer = served.ask("GET", &format!("/v1/recordings/{}/file", gone.id), "").await;
    assert_eq!(answer.problem(), "unknown_recording", "its file was removed");
}

#[actix_web::test]
async fn a_file_comes_whole_or_in_part_with_the_digest_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let served = serve_with(1_000, |options| options.recordings = path);
    let id = stored(&served).id;
    std::fs::write(Files::path(folder.path(), id), b"RIFF0123456789").unwrap();
    let path = format!("/v1/recordings/{id}/file");
    let whole = served.ask("GET", &path, "").await;
    assert_eq!(
        (whole.status, &*whole.text, &*whole.headers["content-type"]),
        (200, "RIFF0123456789", "audio/wav")
    );
    let digest = "sha-256=:AP8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
    assert_eq!(whole.headers["repr-digest"], digest);
    let bearer = format!("Bearer {OWN}");
    let part =
        served.ask_with("GET", &path, &[("Authorization", &bearer), ("Range", "bytes=4-7")], b"").await;
    assert_eq!((part.status, &*part.text, &*part.headers["repr-digest"]), (206, "0123", digest));
    assert_eq!(part.headers["content-range"], "bytes 4-7/14");
    let none =
        served.ask_with("GET", &path, &[("Authorization", &bearer), ("Range", "bytes=99-")], b"").await;
    assert_eq!(none.status, 416);
}
