//! Lives of the links: when one begins, how it stands, how it ends.
//!
//! Connected is not ready: the server is up when it has listed its calls. Silence makes it suspect before it is down.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ifbus_adapters::adapter::{Down, DownReason, Input, Warning};
use ifbus_call::call::Input as CallInput;
use ifbus_call::order::Probed;
use ifbus_call::{CallId, Done, Epoch, Interface, Nanos, Order, Outcome};
use ifbus_supervision::{Backoff, World};

use super::{Purpose, Server, at};
use crate::journal::Fact;
use crate::view::{InterfaceView, LinkView, ServerState, ServerView, WarningView};

/// How often the interfaces are probed: with [`SUSPECT_AFTER`] it bounds the time to suspicion to a second and a half.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A probe that is not answered by then makes the server suspect.
const SUSPECT_AFTER: Duration = Duration::from_millis(450);
/// Silence that ends the life of the links, counted from the first probe that was not answered.
const DOWN_AFTER: Duration = Duration::from_millis(3_900);
/// How often our facts are compared with the server's list; rarely, because lists cost the server a lock (sheet
/// asterisk, section 16).
const RECONCILE_EVERY: Duration = Duration::from_secs(30);
/// How often SIP is probed. One probe repeats its question, so one that stays unanswered is enough to doubt.
const SIP_EVERY: Duration = Duration::from_secs(2);
/// A life this long was a good one: the next one is tried for at once.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// How the links stand.
pub(super) struct Condition {
    state: Life,
    /// Lives in a row that did not last.
    failures: u32,
    note: Option<String>,
    /// When the first of the probes was sent that have not been answered since, and who does not answer.
    silent_since: Option<(Nanos, Interface)>,
    /// When this life began, and what ended the one before.
    began: Nanos,
    last_end: Option<DownReason>,
    sip_was_heard: bool,
    sip_misses: u32,
    /// When SIP is probed next; absent while an answer is due, or for good if it was never heard.
    sip_next: Option<Nanos>,
}

enum Life {
    /// Opening, logging in, listing.
    Beginning,
    /// Ready.
    Good { since: Nanos, probe: Probe, reconcile: Nanos },
    /// Over; the next one begins then.
    Over { until: Nanos },
}

enum Probe {
    /// The next one goes out then.
    Idle(Nanos),
    /// It went out then.
    Out(Nanos),
}

impl Condition {
    pub(super) const fn new() -> Self {
        Self {
            state: Life::Beginning,
            failures: 0,
            note: None,
            silent_since: None,
            began: Nanos::ZERO,
            last_end: None,
            sip_was_heard: false,
            sip_misses: 0,
            sip_next: None,
        }
    }

    /// How it stands, as far as the links tell.
    pub(super) fn state(&self) -> ServerState {
        match self.state {
            Life::Beginning if self.failures == 0 => ServerState::Connecting,
            Life::Beginning | Life::Over { .. } => ServerState::Down,
            Life::Good { .. } if self.note.is_some() => ServerState::Suspect,
            Life::Good { .. } if self.sip_misses > 0 => ServerState::Degraded,
            Life::Good { .. } => ServerState::Up,
        }
    }

    /// What ended the life of the links before this one.
    pub(super) const fn last_end(&self) -> Option<&DownReason> {
        self.last_end.as_ref()
    }

    /// How long ago this life of the links began.
    pub(super) const fn since_begin(&self, now: Nanos) -> Duration {
        now.since(self.began)
    }

    /// Whether a call that arrives is taken: also when only suspected, because the router asks only in need then.
    pub(super) const fn takes_calls(&self) -> bool {
        matches!(self.state, Life::Good { .. })
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Nanos> {
        match &self.state {
            Life::Beginning => None,
            Life::Good { probe, reconcile, .. } => {
                let probe = match probe {
                    Probe::Idle(next) => *next,
                    Probe::Out(sent) if self.note.is_none() => *sent + SUSPECT_AFTER,
                    Probe::Out(sent) => self.silent_since.map_or(*sent, |(since, _)| since) + DOWN_AFTER,
                };
                let silence = self.silent_since.map(|(since, _)| since + DOWN_AFTER);
                [Some(probe), Some(*reconcile), self.sip_next, silence].into_iter().flatten().min()
            }
            Life::Over { until } => Some(*until),
        }
    }
}

impl Server {
    pub(super) fn start_a_life(&mut self, world: &mut World<Self>) {
        self.epoch = Epoch(self.memory.epoch.fetch_add(1, Ordering::Relaxed) + 1);
        self.condition.state = Life::Beginning;
        self.condition.began = at(world);
        self.certificates.clear();
        self.adapter.handle(Input::Start(self.epoch), at(world));
    }

    /// Somebody wants to know now: a life that waits for its time begins at once.
    pub(super) fn try_now(&mut self, world: &mut World<Self>) {
        if let Life::Over { .. } = self.condition.state {
            self.condition.failures = 0;
            self.condition.note = None;
            self.start_a_life(world);
        }
    }

    /// The links are ready; `adopt.rs` has taken over the calls.
    pub(super) fn begin_good_life(&mut self, now: Nanos) {
        self.condition.state = Life::Good {
            since: now,
            probe: Probe::Idle(now + PROBE_EVERY),
            reconcile: now + RECONCILE_EVERY,
        };
        self.condition.note = None;
        self.condition.silent_since = None;
        self.condition.sip_next = Some(now);
        self.give(Order::Load, Purpose::Load, now);
        self.drain_again(now);
        self.inspect_those_waiting(now);
    }

    pub(super) fn down(&mut self, down: &Down, world: &mut World<Self>) {
        let now = at(world);
        let open: Vec<_> = self.links.keys().copied().collect();
        for link in open {
            self.close(link, world);
        }
        self.requests.clear();
        if down.reason == DownReason::Stopped && self.stopping {
            return;
        }
        let down = match down.reason {
            // Not stopped for good, so it was stopped because it fell silent.
            DownReason::Stopped => {
                let interface = self.condition.silent_since.map_or(down.interface, |(_, who)| who);
                &Down { interface, reason: DownReason::Silent(DOWN_AFTER) }
            }
            _ => down,
        };
        let lasted =
            matches!(self.condition.state, Life::Good { since, .. } if now.since(since) >= GOOD_LIFE);
        let was_first_failure = self.condition.failures == 0;
        self.condition.failures = if lasted { 1 } else { self.condition.failures.saturating_add(1) };
        let delay = Backoff::default().delay(self.condition.failures - 1, world.rng());
        self.condition.state = Life::Over { until: now + delay };
        self.condition.sip_misses = 0;
        self.condition.note = Some(down.to_string());
        self.condition.last_end = Some(down.reason.clone());
        self.cannot_inspect(&down.reason, &down.to_string(), now);
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        let kept = calls.len();
        for call in calls {
            self.input(call, CallInput::Disconnected, now);
        }
        if was_first_failure || lasted {
            let text = match kept {
                0 => down.to_string(),
                1 => format!("{down}; 1 call kept, waiting to adopt"),
                n => format!("{down}; {n} calls kept, waiting to adopt"),
            };
            tracing::warn!(server = %self.spec.name, epoch = self.epoch.0, %down, kept, "server down");
            self.say("server.down", text, now);
        }
    }

    pub(super) fn condition_due(&mut self, now: Nanos, world: &mut World<Self>) {
        match &mut self.condition.state {
            Life::Beginning => {}
            Life::Over { until } if *until <= now => self.start_a_life(world),
            Life::Over { .. } => {}
            Life::Good { probe, reconcile, .. } => {
                let silent_since = self.condition.silent_since;
                let list = *reconcile <= now;
                if list {
                    *reconcile = now + RECONCILE_EVERY;
                }
                match *probe {
                    Probe::Idle(next) if next <= now => {
                        *probe = Probe::Out(now);
                        self.give(Order::Probe, Purpose::Probe, now);
                    }
                    _ if silent_since.is_some_and(|(since, _)| now.since(since) >= DOWN_AFTER) => {
                        self.give_up_on_silence(now);
                    }
                    Probe::Out(sent) if now.since(sent) >= DOWN_AFTER => self.give_up_on_silence(now),
                    Probe::Out(sent) if now.since(sent) >= SUSPECT_AFTER => {
                        self.suspect("a probe is not answered", now)
                    }
                    Probe::Idle(_) | Probe::Out(_) => {}
                }
                if self.condition.sip_next.take_if(|next| *next <= now).is_some() {
                    self.give(Order::ProbeSip, Purpose::ProbeSip, now);
                }
                if list {
                    self.look_at_certificates(now);
                    self.give(Order::List, Purpose::Reconcile(now), now);
                    self.give(Order::Load, Purpose::Load, now);
                }
            }
        }
    }

    /// The life is over although no link says so.
    fn give_up_on_silence(&mut self, now: Nanos) {
        self.adapter.handle(Input::Stop, now);
    }

    fn suspect(&mut self, why: &str, now: Nanos) {
        if self.condition.note.is_none() {
            self.condition.note = Some(why.to_owned());
            self.say("server.suspect", format!("{why}; no new calls"), now);
        }
    }

    pub(super) fn probed(&mut self, outcome: Outcome, now: Nanos) {
        let Life::Good { probe, .. } = &mut self.condition.state else { return };
        let Ok(Done::Probed(answers)) = outcome else { return };
        let sent = match *probe {
            Probe::Out(sent) => sent,
            Probe::Idle(_) => now,
        };
        *probe = Probe::Idle(now + PROBE_EVERY);
        let silent = answers.iter().find_map(|probed| {
            let why = probed.answered.as_ref().err()?;
            Some((probed.interface, why.clone()))
        });
        self.show_probed(answers);
        // The adapter gives a probe up before we do: the time is counted from the first one.
        let since = self.condition.silent_since.take();
        self.condition.silent_since = silent.as_ref().map(|(who, _)| since.unwrap_or((sent, *who)));
        match silent {
            Some((_, why)) => self.suspect(&why, now),
            None if self.sip_has_died() => {}
            None => self.trust_again(now),
        }
    }

    pub(super) fn sip_probed(&mut self, outcome: Outcome, now: Nanos) {
        let Ok(Done::Probed(answers)) = outcome else { return };
        let Some(sip) = answers.first() else { return };
        self.condition.sip_next = Some(now + SIP_EVERY);
        if sip.answered.is_ok() {
            let had_died = self.sip_has_died();
            (self.condition.sip_was_heard, self.condition.sip_misses) = (true, 0);
            if had_died {
                self.trust_again(now);
            }
        } else {
            self.condition.sip_misses = self.condition.sip_misses.saturating_add(1);
            if self.sip_has_died() {
                self.suspect("SIP is not answered any more", now);
            }
        }
        self.show_probed(answers);
    }

    /// A server whose SIP is dead but whose port answers is dead (design section 6). One whose SIP was never heard may
    /// simply not be reachable from here.
    const fn sip_has_died(&self) -> bool {
        self.condition.sip_was_heard && self.condition.sip_misses > 0
    }

    fn trust_again(&mut self, now: Nanos) {
        if self.condition.note.take().is_some() {
            self.say("server.up", "answers again".to_owned(), now);
        }
    }

    fn show_probed(&mut self, answers: Vec<Probed>) {
        for probed in answers {
            let took = probed.answered.as_ref().copied().unwrap_or_default();
            self.shared.meter.probed(&self.spec.name, probed.interface, probed.answered.is_ok(), took);
            let view = InterfaceView {
                interface: probed.interface.as_str().to_owned(),
                up: probed.answered.is_ok(),
                // To a tenth of a millisecond, so that a view changes only when something did.
                answered_ms: probed
                    .answered
                    .as_ref()
                    .ok()
                    .map(|time| (time.as_secs_f64() * 1e4).round() / 10.0),
                why: probed.answered.err(),
            };
            self.interfaces.retain(|known| known.interface != view.interface);
            self.interfaces.push(view);
            self.interfaces.sort_by(|a, b| a.interface.cmp(&b.interface));
        }
    }

    pub(super) fn warn(&mut self, warning: Warning, now: Nanos) {
        if !self.warnings.iter().any(|known| known.code == warning.code) {
            tracing::warn!(server = %self.spec.name, code = warning.code, "{}", warning.text);
            self.say("server.warning", warning.text.clone(), now);
            self.warnings.push(warning);
        }
    }

    pub(super) fn retire(&mut self, world: &mut World<Self>) {
        let now = at(world);
        self.stopping = true;
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.input(call, CallInput::Abandoned, now);
        }
        self.adapter.handle(Input::Stop, now);
        self.drive(world);
        world.stop();
    }

    // --- what is shown ---

    pub(super) fn view(&self) -> ServerView {
        let (up_since, next_try) = match self.condition.state {
            Life::Good { since, .. } => (Some(self.shared.clock.at(since.since_start())), None),
            Life::Over { until } => (None, Some(self.shared.clock.at(until.since_start()))),
            Life::Beginning => (None, None),
        };
        let note = self.condition.note.as_ref().map(|note| match next_try {
            Some(at) => format!("{note}; next try at {}", at.strftime("%H:%M:%S")),
            None => note.clone(),
        });
        ServerView {
            name: self.spec.name.clone(),
            object: "server".to_owned(),
            kind: self.spec.kind,
            host: self.spec.settings.host.clone(),
            port: ifbus_adapters::settings::port_of(self.spec.kind, &self.spec.settings),
            origin: self.spec.origin,
            version: self.version.clone(),
            state: self.standing(),
            note,
            interfaces: self.interfaces.clone(),
            drain: self.draining(),
            calls: u32::try_from(self.calls.len()).unwrap_or(u32::MAX),
            foreign: self.foreign,
            capacity: self.spec.capacity,
            cps_max: self.spec.cps,
            load: self.load,
            figures: Default::default(),
            link: LinkView { epoch: self.epoch.0, up_since },
            warnings: self
                .warnings
                .iter()
                .map(|warning| WarningView { code: warning.code.to_owned(), text: warning.text.clone() })
                .chain(self.certificate_warnings())
                .collect(),
            certificates: self.certificate_views(),
        }
    }

    /// How it stands, as everybody sees it: a connected server that takes no new calls by our order says so first.
    pub(super) fn standing(&self) -> ServerState {
        match self.condition.state() {
            state @ (ServerState::Connecting | ServerState::Down) => state,
            _ if self.draining().is_some() && self.calls.is_empty() => ServerState::Drained,
            _ if self.draining().is_some() => ServerState::Draining,
            state => state,
        }
    }

    /// An event of the server itself.
    pub(super) fn say(&self, kind: &str, text: String, now: Nanos) {
        let mut fact = Fact::new(kind, self.shared.clock.at(now.since_start()), text);
        fact.server = Some(self.spec.name.clone());
        fact.epoch = Some(self.epoch.0);
        self.shared.journal.append(fact);
    }
}
