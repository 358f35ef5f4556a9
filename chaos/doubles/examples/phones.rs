//! SIP phones that answer every number, for trying a server by hand.
//!
//!     cargo run -p ifbus-doubles --example phones -- 127.0.10.2:5060 127.0.10.3:5060

use std::net::SocketAddr;

use ifbus_doubles::phone::shell::SipServer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses: Vec<SocketAddr> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let _phones = SipServer::start(&addresses)?;
    loop {
        std::thread::park();
    }
}
