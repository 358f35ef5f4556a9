//! A simulated Asterisk on real ports, for trying a client by hand.
//!
//!     cargo run -p ifbus-doubles --example asterisk -- 127.0.0.1 [16]

use std::net::IpAddr;

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let ip: IpAddr = arguments.next().as_deref().unwrap_or("127.0.0.1").parse()?;
    let profile = if arguments.next().as_deref() == Some("16") { Profile::V16 } else { Profile::V22 };
    let server = AsteriskServer::start(Bind::standard(ip), Options::new(profile))?;
    eprintln_ready(&server);
    loop {
        std::thread::park();
    }
}

#[expect(clippy::print_stderr, reason = "this program is for people")]
fn eprintln_ready(server: &AsteriskServer) {
    eprintln!("AMI {}  HTTP {}  user ifbus, secret ifbus-secret", server.ami(), server.http());
}
