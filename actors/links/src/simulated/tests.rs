//! The simulated network against a host that echoes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use ifbus_adapters::adapter::{Endpoint, LinkError, LinkId};
use ifbus_call::Epoch;

use super::{Host, Simulated, Wanted};
use crate::network::{Network, Report};

/// Says back what it hears; refuses port 9.
#[derive(Default)]
struct Echo {
    wanted: VecDeque<Wanted>,
}

impl Host for Echo {
    fn opened(&mut self, _connection: u64, port: u16, _now: Duration) -> bool {
        port != 9
    }
    fn bytes(&mut self, connection: u64, bytes: Vec<u8>, _now: Duration) {
        let last = bytes == b"bye";
        self.wanted.push_back(Wanted::Bytes(connection, bytes));
        if last {
            self.wanted.push_back(Wanted::Close(connection));
        }
    }
    fn closed(&mut self, _connection: u64, _now: Duration) {}
    fn datagram(&mut self, _port: u16, bytes: &[u8], _now: Duration) -> Vec<Vec<u8>> {
        vec![bytes.to_vec()]
    }
    fn tick(&mut self, _now: Duration) {}
    fn poll(&mut self) -> Option<Wanted> {
        self.wanted.pop_front()
    }
    fn deadline(&self) -> Option<Duration> {
        None
    }
}

const ID: LinkId = LinkId { epoch: Epoch(1), slot: 0 };

fn run(story: impl AsyncFnOnce(Simulated, Rc<RefCell<Vec<Report>>>)) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let network = Simulated::new(Duration::from_millis(1));
        network.put("echo", Rc::new(RefCell::new(Echo::default())));
        story(network, Rc::default()).await;
    });
}

fn open(
    network: &Simulated,
    host: &str,
    port: u16,
    reports: &Rc<RefCell<Vec<Report>>>,
) -> Box<dyn crate::Link> {
    let reports = Rc::clone(reports);
    let endpoint = Endpoint::Tcp { host: host.into(), port, tls: None, quickack: false };
    network.open(ID, endpoint, Rc::new(move |report| reports.borrow_mut().push(report)))
}

/// Virtual time: everything that is due in it has happened afterwards.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[test]
fn what_is_sent_comes_in_order_and_takes_its_time() {
    run(async |network, reports| {
        let link = open(&network, "echo", 1, &reports);
        link.send(b"early".to_vec());
        for word in [&b"one"[..], b"two", b"bye"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
            link.send(word.to_vec());
        }
        pass(1).await;
        let words = [&b"early"[..], b"one", b"two", b"bye"].map(|word| Report::Bytes(ID, word.to_vec()));
        let mut expected = vec![Report::Opened(ID)];
        expected.extend(words);
        expected.push(Report::Closed(ID, LinkError::Closed));
        assert_eq!(*reports.borrow(), expected);
    });
}

#[test]
fn an_unknown_host_and_a_closed_port_refuse() {
    run(async |network, reports| {
        let _one = open(&network, "nobody", 1, &reports);
        let _two = open(&network, "echo", 9, &reports);
        pass(1).await;
        assert_eq!(*reports.borrow(), vec![Report::Closed(ID, LinkError::Refused); 2]);
    });
}

#[test]
fn a_host_that_is_cut_off_is_silent() {
    run(async |network, reports| {
        let link = open(&network, "echo", 1, &reports);
        pass(1).await;
        network.cut_off("echo", true);
        link.send(b"lost".to_vec());
        pass(3600).await;
        assert_eq!(*reports.borrow(), [Report::Opened(ID)]);
    });
}
