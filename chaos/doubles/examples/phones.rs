//! SIP phones that answer every number and obey commands on standard input, for trying a server by hand.
//!
//!     cargo run -p ifbus-doubles --example phones -- 127.0.10.2:5060 127.0.10.3:5060
//!
//! Commands: `hangup N`, `press N DIGITS`, `hold N`, `resume N`, `call N TO SERVER:PORT`,
//! `busy N`, `ring N`, `answer N`, `heard N`,
//! `transfer N TO`, `attended N`.

use std::io::BufRead;
use std::net::SocketAddr;
use std::time::Duration;

use ifbus_doubles::phone::shell::SipServer;
use ifbus_doubles::phone::{Phones, Plan};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses: Vec<SocketAddr> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let phones = SipServer::start(&addresses)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["hangup", number] => phones.hang_up(number),
            ["press", number, digits] => phones.press(number, digits),
            ["hold", number] => phones.hold(number),
            ["resume", number] => phones.resume(number),
            ["call", number, to, server] => phones.call(number, to, server.parse()?),
            ["busy", number] => phones.plan(number, Plan::busy()),
            ["ring", number] => phones.plan(number, Plan::rings()),
            ["answer", number] => phones.plan(number, Plan::answers(Duration::from_millis(100))),
            ["transfer", number, to] => phones.transfer(number, to),
            ["attended", number] => phones.transfer_attended(number),
            ["heard", number] => print_heard(&phones, number),
            _ => return Err(format!("no such command: {line}").into()),
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this program is for people")]
fn print_heard(phones: &SipServer, number: &str) {
    let tones: Vec<String> = phones.heard(number).iter().map(ToString::to_string).collect();
    let transfer = phones.transferred(number).map_or(String::new(), |status| format!(", transfer: {status}"));
    println!("{number} in {} calls hears: {}{transfer}", phones.live(number), tones.join(", "));
}
