//! A simulated Issabel: the Asterisk double in the style of that product, and the web server beside it with pbxapi and
//! the folder of recordings.
//!
//! pbxapi talks to its Asterisk as the real one does: a login of its own into AMI for each request. So it also stands
//! before a real Asterisk ([`Before`]). Not simulated: the pages for people, the call records, queues.
//!
//! The contract is in [`crate::double`]. Inside: `web` says what a request leads to, `errand` is the talk with AMI, `page`
//! an answer.

mod before;
mod errand;
mod page;
mod server;
#[cfg(test)]
mod tests;
mod web;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub use before::Before;
pub use server::{Bind, ElastixServer};
pub use web::{Phone, WebFaults, WebOptions};

use crate::asterisk::http::{self, Request};
use crate::asterisk::{self, Asterisk, Options, Profile, Style};
use crate::double::{Double, Extensions, Input, Link, Mortal, Output, Reachable};
use crate::faults::{Faults, HttpState};
use crate::phone::{Act, Plan, Tone};
use errand::Errand;
use page::Page;
use web::{Step, Web};

/// What `GET /pbxapi/manager` lists, as recorded.
const COMMANDS: &str = "{\"dbdel\":[\"family\",\"key\"],\"dbget\":[\"family\",\"key\"],\"dbput\":[\"family\",\"key\",\"value\"],\"dbshow\":[\"family\"],\"extensionstate\":[\"extension\",\"[context]\",\"[uniqueid]\"],\"getvar\":[\"channel\",\"variable\"],\"hangup\":[\"channel\",\"[cause]\"],\"originate\":[\"channel\",\"extension\",\"context\",\"priority\",\"[timeout]\",\"[callerid]\",\"[variable]\",\"[account]\",\"[application]\",\"[data]\"],\"queueadd\":[\"queue\",\"interface\",\"[penalty]\",\"[paused]\",\"[membername]\",\"[stateinterface]\"],\"queuelog\":[\"queue\",\"event\",\"[uniqueid]\",\"[interface]\",\"[message]\"],\"queuepause\":[\"queue\",\"interface\"],\"queueremove\":[\"queue\",\"interface\"],\"queuestatus\":[\"[queue]\"],\"queueunpause\":[\"queue\",\"interface\"],\"reload\":[],\"status\":[\"[channel]\"],\"userevent\":[\"event\",\"[@headers]\"]}";

/// Connections of pbxapi into AMI; those of others are numbered from 0.
const INSIDE: u64 = 1 << 62;

/// Which port a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TCP 5038.
    Ami,
    /// TCP 443: here without TLS, see the module `tls`.
    Web,
    /// UDP 5060: OPTIONS alone.
    Sip,
}

/// The machine.
#[derive(Debug)]
pub struct Elastix {
    inside: Asterisk,
    web: Web,
    browsers: BTreeMap<Link, Browser>,
    errands: BTreeMap<Link, (Link, Errand)>,
    next_errand: u64,
    /// Answers that take their time.
    late: BTreeMap<(Duration, Link), Page>,
    out: VecDeque<Output<Door>>,
    now: Duration,
}

/// A connection to the web server. Its requests are answered one after the other.
#[derive(Debug, Default)]
struct Browser {
    heard: Vec<u8>,
    waiting: VecDeque<Request>,
    busy: bool,
}

impl Elastix {
    /// Issabel 5 with chan_sip: telephones 1001 to 1008 have an address, 1009 and 1010 have not registered. The accounts
    /// are those of [`Options::new`].
    #[must_use]
    pub fn issabel(seed: u64) -> (Options, WebOptions) {
        let style = Style::ISSABEL;
        let options = Options::with_style(Profile::ISSABEL16, style).with_seed(seed);
        (options, WebOptions::new(style.tech))
    }

    /// A server that has just booted.
    #[must_use]
    pub fn new(options: Options, web: WebOptions, now: Duration) -> Self {
        Elastix {
            inside: Asterisk::new(options, now),
            web: Web::new(web),
            browsers: BTreeMap::new(),
            errands: BTreeMap::new(),
            next_errand: INSIDE,
            late: BTreeMap::new(),
            out: VecDeque::new(),
            now,
        }
    }

    /// The web server, to change what goes wrong with it.
    pub fn web(&mut self) -> &mut Web {
        &mut self.web
    }

    /// The Asterisk inside, to look at.
    #[must_use]
    pub fn asterisk(&self) -> &Asterisk {
        &self.inside
    }

    fn browser(&mut self, link: Link, bytes: &[u8]) {
        let Some(browser) = self.browsers.get_mut(&link) else { return };
        browser.heard.extend_from_slice(bytes);
        loop {
            match http::next(&mut browser.heard) {
                Ok(Some(request)) => browser.waiting.push_back(request),
                Ok(None) => break,
                Err(()) => {
                    self.browsers.remove(&link);
                    return self.out.push_back(Output::Close(link));
                }
            }
        }
        self.serve(link);
    }

    fn serve(&mut self, link: Link) {
        let Some(browser) = self.browsers.get_mut(&link).filter(|browser| !browser.busy) else { return };
        let Some(request) = browser.waiting.pop_front() else { return };
        browser.busy = true;
        if self.inside.faults().http == HttpState::Unavailable {
            return self.answer(link, &Page::text(503, "Service Unavailable", "<html></html>"));
        }
        match self.web.take(&request, self.now) {
            Step::Page(page, Duration::ZERO) => self.answer(link, &page),
            Step::Page(page, delay) => drop(self.late.insert((self.now + delay, link), page)),
            Step::File(path) => {
                let missing = || Page::text(404, "Not Found", "<html></html>");
                let page = self.inside.file(&path).map_or_else(missing, Page::file);
                self.answer(link, &page);
            }
            Step::Silence => {}
            Step::Errand(_) if !self.inside.is_open(asterisk::Door::Ami) => {
                self.answer(link, &Errand::broken())
            }
            Step::Errand(errand) => {
                let inside = Link(self.next_errand);
                self.next_errand += 1;
                self.errands.insert(inside, (link, *errand));
                self.inside.handle(Input::Opened(inside, asterisk::Door::Ami), self.now);
            }
        }
    }

    fn answer(&mut self, link: Link, page: &Page) {
        let Some(browser) = self.browsers.get_mut(&link) else { return };
        browser.busy = false;
        self.out.push_back(Output::Bytes(link, page.encode()));
        self.serve(link);
    }

    /// What the Asterisk inside says, to those outside and to errands.
    fn pump(&mut self) {
        while let Some(output) = self.inside.poll() {
            match output {
                Output::Bytes(link, bytes) if self.errands.contains_key(&link) => self.errand(link, &bytes),
                Output::Bytes(link, bytes) => self.out.push_back(Output::Bytes(link, bytes)),
                Output::Close(link) | Output::Reset(link) if link.0 >= INSIDE => {
                    if let Some((browser, _)) = self.errands.remove(&link) {
                        self.answer(browser, &Errand::broken());
                    }
                }
                Output::Close(link) => self.out.push_back(Output::Close(link)),
                Output::Reset(link) => self.out.push_back(Output::Reset(link)),
                Output::Datagram(asterisk::Door::Sip, to, bytes) => {
                    self.out.push_back(Output::Datagram(Door::Sip, to, bytes));
                }
                Output::Datagram(..) => {}
            }
        }
    }

    fn errand(&mut self, link: Link, bytes: &[u8]) {
        let Some((browser, errand)) = self.errands.get_mut(&link) else { return };
        let browser = *browser;
        let taken = errand.take(bytes);
        if let Some(page) = taken.page {
            self.errands.remove(&link);
            self.inside.handle(Input::Closed(link), self.now);
            self.answer(browser, &page);
        } else if !taken.send.is_empty() {
            self.inside.handle(Input::Bytes(link, taken.send), self.now);
        }
    }

    fn tick(&mut self) {
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((_, link), page) = entry.remove_entry();
            self.answer(link, &page);
        }
    }
}

impl Double for Elastix {
    type Door = Door;

    fn handle(&mut self, input: Input<Door>, now: Duration) {
        self.now = now;
        match input {
            Input::Opened(link, Door::Ami) => {
                self.inside.handle(Input::Opened(link, asterisk::Door::Ami), now)
            }
            Input::Opened(link, _) => drop(self.browsers.insert(link, Browser::default())),
            Input::Bytes(link, bytes) if self.browsers.contains_key(&link) => self.browser(link, &bytes),
            Input::Bytes(link, bytes) => self.inside.handle(Input::Bytes(link, bytes), now),
            Input::Closed(link) | Input::Stalled(link) if self.browsers.remove(&link).is_some() => {}
            Input::Stalled(link) => self.inside.handle(Input::Stalled(link), now),
            Input::Closed(link) => self.inside.handle(Input::Closed(link), now),
            Input::Datagram(_, from, bytes) => {
                self.inside.handle(Input::Datagram(asterisk::Door::Sip, from, bytes), now);
            }
            Input::Tick => self.inside.handle(Input::Tick, now),
        }
        self.tick();
        self.pump();
    }

    fn poll(&mut self) -> Option<Output<Door>> {
        // controls may have made output too
        self.pump();
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Duration> {
        let late = self.late.first_key_value().map(|((due, _), _)| *due);
        [self.inside.deadline(), late].into_iter().flatten().min()
    }

    fn is_open(&self, door: Door) -> bool {
        match door {
            Door::Ami => self.inside.is_open(asterisk::Door::Ami),
            Door::Sip => self.inside.is_open(asterisk::Door::Sip),
            // the web server is a process of its own
            Door::Web => self.inside.faults().http != HttpState::Closed,
        }
    }
}

impl Mortal for Elastix {
    fn faults(&self) -> &Faults {
        self.inside.faults()
    }

    fn set_faults(&mut self, faults: Faults, now: Duration) {
        if faults.http == HttpState::Closed {
            for link in std::mem::take(&mut self.browsers).into_keys() {
                self.out.push_back(Output::Reset(link));
            }
        }
        self.inside.set_faults(faults, now);
    }

    fn garbage(&mut self, now: Duration) {
        self.inside.garbage(now);
    }

    fn kill(&mut self, now: Duration) {
        self.inside.kill(now);
    }

    fn restart(&mut self, now: Duration) {
        self.inside.restart(now);
    }

    fn shut_down(&mut self, now: Duration) {
        self.inside.shut_down(now);
    }
}

impl Extensions for Elastix {
    fn plan(&mut self, number: &str, plan: Plan) {
        self.inside.plan(number, plan);
    }

    fn heard(&self, number: &str) -> BTreeSet<Tone> {
        self.inside.heard(number)
    }

    fn rings(&self, number: &str) -> u32 {
        self.inside.rings(number)
    }

    fn digits(&self, number: &str) -> String {
        self.inside.digits(number)
    }

    fn live(&self, number: &str) -> usize {
        self.inside.live(number)
    }

    fn caller_seen(&self, number: &str) -> Option<String> {
        self.inside.caller_seen(number)
    }

    fn act(&mut self, number: &str, act: &Act, now: Duration) {
        self.inside.act(number, act, now);
    }

    fn transfer(&mut self, number: &str, to: &str, now: Duration) {
        self.inside.transfer(number, to, now);
    }

    fn transfer_attended(&mut self, number: &str, now: Duration) {
        self.inside.transfer_attended(number, now);
    }

    fn transferred(&self, number: &str) -> Option<u16> {
        self.inside.transferred(number)
    }
}

impl Reachable for Elastix {
    fn foreign_call(&mut self, from: &str, to: &str, now: Duration) -> String {
        self.inside.foreign_call(from, to, now)
    }

    fn hostile_call(&mut self, raw_caller: &str, now: Duration) -> bool {
        self.inside.hostile_call(raw_caller, now)
    }
}
