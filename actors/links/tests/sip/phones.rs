//! A phone of somebody else's: baresip, which answers by itself, plays a tone, and writes down what it hears.
//!
//! Its sound has to fit the codec. A source that cannot play 8000 samples a second fails as soon as there is somebody to
//! talk to, and then baresip 1.0 rings for ever: it never sends the 200 that it has announced.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use ifbus_doubles::phone::Tone;
use ifbus_doubles::phone::tone::{RATE, recognise_samples};
use tokio::time::{Duration, Instant};

use super::rig::{GUARD, address};

/// What it needs to talk without a sound card.
const MODULES: [&str; 4] = ["g711.so", "aufile.so", "aubridge.so", "sndfile.so"];
/// It hangs up when its file ends: longer than a test.
const SECONDS: u32 = 120;
/// As much of the end of what it heard is listened to: half a second.
const WINDOW: usize = RATE as usize / 2;
/// A file that is being written has a header of this size.
const HEADER: usize = 44;

/// A running one. Dropping it stops it.
pub struct Baresip {
    child: Child,
    folder: PathBuf,
    at: SocketAddr,
    number: String,
}

impl Baresip {
    /// Starts the program for one number, at an address of its own, and waits until it listens.
    pub async fn start(program: &str, number: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let at = address(5060);
        let name = format!("ifbus-baresip-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("heard")).unwrap();
        let tone = folder.join("tone.wav");
        fs::write(&tone, wav(Tone::of(number))).unwrap();
        let modules: String = MODULES.iter().map(|name| format!("module {name}\n")).collect();
        let config = format!(
            "module_path /usr/lib/baresip/modules\n{modules}module_app account.so\nmodule_app menu.so\n\
             sip_listen {at}\nnet_interface {ip}\naudio_source aufile,{tone}\naudio_player aubridge,nowhere\n\
             audio_alert aubridge,nowhere\nsnd_path {heard}\n",
            ip = at.ip(),
            tone = tone.display(),
            heard = folder.join("heard").display()
        );
        fs::write(folder.join("config"), config).unwrap();
        // it answers by itself only where its account says so (sheet sip-3pcc, section 2)
        let account = format!("<sip:{number}@{at}>;regint=0;answermode=auto;audio_codecs=PCMU\n");
        fs::write(folder.join("accounts"), account).unwrap();
        fs::write(folder.join("contacts"), "").unwrap();
        let said = fs::File::create(folder.join("said")).unwrap();
        let mut command = Command::new(program);
        command.args(["-4", "-v", "-f"]).arg(&folder).stdin(Stdio::null());
        let child = command.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap();
        let phone = Self { child, folder, at, number: number.to_owned() };
        phone.until("ready", |phone| phone.said().contains("baresip is ready")).await;
        phone
    }

    /// How it is called.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.number, self.at)
    }

    /// Waits until it hears the tone of that number, and no other, in what comes from now on.
    pub async fn hears(&self, number: &str) {
        let (wanted, fresh) = ([Tone::of(number)].into(), self.heard_bytes() + 2 * WINDOW);
        let so = |phone: &Self| phone.heard_bytes() >= fresh && recognise_samples(&phone.heard()) == wanted;
        self.until("tone", so).await;
    }

    /// Waits until sound comes to it, or none any more, by its own count. Its recording ends with the first hold: baresip
    /// 1.0 takes the recorder of what it hears away then, and never puts it back.
    pub async fn receives(&self, something: bool) {
        self.until("such a rate", |phone| phone.rate().is_some_and(|rate| (rate > 0) == something)).await;
    }

    /// Bits per second that come, as it said last.
    fn rate(&self) -> Option<u32> {
        let text = fs::read(self.folder.join("said")).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let (_, last) = text.rsplit_once("audio=")?;
        last.split_once('/')?.1.split_once(' ')?.0.parse().ok()
    }

    /// Waits until it was sent these digits.
    pub async fn received(&self, digits: &str) {
        let all = |phone: &Self| {
            let said = phone.said();
            digits.chars().all(|digit| said.contains(&format!("received DTMF: '{digit}'")))
        };
        self.until("digits", all).await;
    }

    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + GUARD;
        while !so(self) {
            assert!(Instant::now() < until, "{}: no {what}; it says: {}", self.number, self.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn said(&self) -> String {
        let text = fs::read(self.folder.join("said")).unwrap_or_default();
        // a line of figures is written over and over
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split(['\r', '\n']).filter(|line| !line.contains("bit/s")).collect::<Vec<_>>().join("\n")
    }

    /// What it has decoded, as files: one for each time that its sound began.
    fn files(&self) -> Vec<PathBuf> {
        let read = fs::read_dir(self.folder.join("heard")).unwrap();
        let mut files: Vec<PathBuf> = read.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.to_string_lossy().ends_with("-dec.wav"));
        files.sort_by_key(|file| modified(file));
        files
    }

    fn heard_bytes(&self) -> usize {
        self.files().iter().map(|file| fs::read(file).map_or(0, |bytes| bytes.len())).sum()
    }

    fn heard(&self) -> Vec<i16> {
        let Some(last) = self.files().pop() else { return Vec::new() };
        let bytes = fs::read(last).unwrap_or_default();
        let samples: Vec<i16> = bytes
            .get(HEADER..)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        samples[samples.len().saturating_sub(WINDOW)..].to_vec()
    }
}

fn modified(file: &Path) -> std::time::SystemTime {
    fs::metadata(file).and_then(|data| data.modified()).unwrap_or(std::time::UNIX_EPOCH)
}

impl Drop for Baresip {
    fn drop(&mut self) {
        // it may be gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A steady tone: 16 bits, one channel.
fn wav(tone: Tone) -> Vec<u8> {
    let step = std::f64::consts::TAU * f64::from(tone.hertz()) / f64::from(RATE);
    let sample = |at: u32| (8_000.0 * (f64::from(at) * step).sin()) as i16;
    let samples: Vec<u8> = (0..SECONDS * RATE).flat_map(|at| sample(at).to_le_bytes()).collect();
    let length = u32::try_from(samples.len()).unwrap();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(RATE.to_le_bytes());
    file.extend((2 * RATE).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples);
    file
}
