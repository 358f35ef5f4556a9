//! Second witnesses: phones that are not ours. What ours say of a real server, sipp and baresip have to say, too.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process;
use crate::rig::{Rig, phones_of, write};
use crate::target::{Place, Target};
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("sipp_agrees_that_calls_went_up_and_were_hung_up", On::Real, sipp),
    ("baresip_agrees_that_a_call_went_up_and_was_hung_up", On::Real, baresip),
];

/// Calls sipp is in: two legs each.
const CALLS: usize = 3;

fn sipp(target: &Target) -> Result<(), Skipped> {
    let (rig, at) = stage(target, "sipp", "sip-tester")?;
    let (scenario, figures) = (rig.folder.join("phone.xml"), rig.folder.join("sipp.csv"));
    write(&scenario, include_str!("witnesses/phone.xml"));
    let mut command = Command::new("sipp");
    let ip = at.ip().to_string();
    command.args(["-sf", "phone.xml", "-i", &ip, "-mi", &ip, "-p", "5060", "-m", &(2 * CALLS).to_string()]);
    command.args(["-nostdin", "-trace_stat", "-stf", "sipp.csv", "-trace_err", "-error_file", "sipp.err"]);
    let phones = Phones::start(&rig, command, "sipp.out", at);

    rig.add();
    let ids: Vec<String> = (0..CALLS).map(|_| called(&rig)).collect();
    for id in &ids {
        assert_eq!(rig.call(id)["status"], "in-progress");
        rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
        assert_eq!(rig.call(id)["status"], "completed");
    }
    // It ends by itself when it has seen as many calls as it was told, and says how they went.
    let ended = phones.ended();
    let said = fs::read_to_string(rig.folder.join("sipp.err")).unwrap_or_default();
    assert_eq!(ended, Some(0), "{said}");
    let counted = last_row(&figures);
    let count = |column: &str| counted.get(column).map(String::as_str);
    let expected = (2 * CALLS).to_string();
    assert_eq!(count("TotalCallCreated"), Some(expected.as_str()), "{counted:?}");
    assert_eq!(count("SuccessfulCall(C)"), Some(expected.as_str()), "{counted:?}");
    assert_eq!(count("FailedCall(C)"), Some("0"), "{counted:?}");
    rig.until("the server is empty", |rig| rig.legs_on_server().is_empty());
    Ok(())
}

fn baresip(target: &Target) -> Result<(), Skipped> {
    let (rig, at) = stage(target, "baresip", "baresip-core")?;
    let modules = Path::new("/usr/lib/baresip/modules");
    if let Some(absent) = MODULES.iter().find(|name| !modules.join(name).exists()) {
        return Err(Skipped(format!("baresip has no {absent} in {}", modules.display())));
    }
    let home = rig.folder.join("baresip");
    fs::create_dir(&home).expect("the folder takes folders");
    let tone = home.join("tone.wav");
    fs::write(&tone, wav()).expect("the folder takes files");
    let [app, apps, ..] = MODULES;
    let loaded = MODULES[2..].iter().map(|name| format!("module {name}\n")).collect::<String>();
    write(
        &home.join("config"),
        &format!(
            "sip_listen {at}\nnet_interface {ip}\naudio_source aufile,{tone}\naudio_player aubridge,nowhere\n\
             audio_alert aubridge,nowhere\nmodule_path {modules}\n{loaded}module_app {app}\nmodule_app {apps}\n",
            ip = at.ip(),
            tone = tone.display(),
            modules = modules.display()
        ),
    );
    let account = |number: &str| format!("<sip:{number}@{}>;regint=0;answermode=auto\n", at.ip());
    write(&home.join("accounts"), &(account("1001") + &account("1002")));
    write(&home.join("contacts"), "");
    let mut command = Command::new("baresip");
    command.args(["-4", "-v", "-f"]).arg(&home);
    let phones = Phones::start(&rig, command, "baresip.out", at);
    let says = |rig: &Rig, words: &str| {
        fs::read_to_string(rig.folder.join("baresip.out")).unwrap_or_default().matches(words).count()
    };

    rig.add();
    let id = called(&rig);
    rig.until("both say so", |rig| says(rig, "Call established: sip:100") == 2);
    assert_eq!(rig.call(&id)["status"], "in-progress");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.until("both say that the other hung up", |rig| says(rig, "session closed") == 2);
    rig.until("the server is empty", |rig| rig.legs_on_server().is_empty());
    process::signal(phones.0.id(), Signal::TERM);
    phones.ended();
    Ok(())
}

/// What a phone without a sound card needs; the first two run it.
const MODULES: [&str; 5] = ["account.so", "menu.so", "g711.so", "aufile.so", "aubridge.so"];

/// Ten seconds of 440 Hz: 8000 samples a second, 16 bits, one channel.
fn wav() -> Vec<u8> {
    let sample = |at: u32| (8_000.0 * (f64::from(at) * 440.0 * std::f64::consts::TAU / 8_000.0).sin()) as i16;
    let samples: Vec<u8> = (0..80_000).flat_map(|at| sample(at).to_le_bytes()).collect();
    let length = u32::try_from(samples.len()).expect("it is short");
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(8_000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples);
    file
}

/// A real server whose phones' address is free, and a program that is installed.
fn stage(target: &Target, program: &str, package: &str) -> Result<(Rig, SocketAddr), Skipped> {
    let rig = Rig::without_phones(target)?;
    let Place::Real(ip) = target.place else { return Err(Skipped("for real servers only".to_owned())) };
    let is_program = |folder: &Path| {
        let found = fs::metadata(folder.join(program));
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| is_program(&folder)) {
        return Err(Skipped(format!("{program} is not installed (Debian package {package})")));
    }
    let at = phones_of(ip);
    let guard = Instant::now() + Duration::from_secs(2);
    while is_bound(at) {
        if Instant::now() > guard {
            return Err(Skipped(format!("somebody else has the phones' address {at}")));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok((rig, at))
}

/// Phones of somebody else, ended when this is dropped.
struct Phones(Child);

impl Phones {
    /// Starts them and waits until they listen.
    fn start(rig: &Rig, mut command: Command, log: &str, at: SocketAddr) -> Self {
        let log = fs::File::create(rig.folder.join(log)).expect("the folder takes files");
        let also = log.try_clone().expect("a file can be shared");
        command.current_dir(&rig.folder).stdin(Stdio::null()).stdout(log).stderr(also);
        let phones = Self(command.spawn().expect("it is installed"));
        rig.until("the phones listen", |_| is_bound(at));
        phones
    }

    /// Waits until they have ended by themselves, or were told to; `None` after a signal.
    fn ended(mut self) -> Option<i32> {
        let guard = Instant::now() + crate::rig::PATIENCE;
        while Instant::now() < guard {
            if let Some(status) = self.0.try_wait().expect("it is ours") {
                return status.code();
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("the phones do not end");
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Whether somebody has a UDP socket there, as the system says.
fn is_bound(at: SocketAddr) -> bool {
    let SocketAddr::V4(at) = at else { return false };
    let shown = format!("{:08X}:{:04X}", u32::from_le_bytes(at.ip().octets()), at.port());
    let table = fs::read_to_string("/proc/net/udp").expect("/proc is there");
    table.lines().any(|line| line.split_whitespace().nth(1) == Some(&shown))
}

/// Places a call by the command and gives its id once both talk.
fn called(rig: &Rig) -> String {
    let ran = rig.ifbus("call sip from=1001 to=1002").ends(0);
    ran.out.lines().next().expect("the first line is the id").to_owned()
}

/// The last row of a table with a head, by column.
fn last_row(file: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).expect("sipp wrote its figures");
    let cells = |line: &str| line.split(';').map(str::to_owned).collect::<Vec<_>>();
    let head = text.lines().next().map(cells).unwrap_or_default();
    let row = text.lines().last().map(cells).unwrap_or_default();
    head.into_iter().zip(row).collect()
}
