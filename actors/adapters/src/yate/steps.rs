//! One message of an order, and what its answer means. The next one waits for it: pipelined, the engine's workers would
//! overtake each other and a leg be lost (sheet, section 14).

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Cause, Event, LegId, Refused, Said, Why};

use super::cause;
use super::events::is_place;
use super::flight::{Place, Purpose, Sound, Step, Timer, Work};
use super::legs::Peer;
use super::machine::Yate;
use super::names;
use super::orders::{Dialing, figures, unfit_refusal};
use super::session::Reply;
use crate::adapter::Ticket;
use crate::wire_format::extmodule::{Channel, Command, Name};

/// Beside every connection of ours: who loses his partner by it is released, and not kept.
pub(super) const JOINED: &str = "ifbus-join";

/// Lays a sound over an ear, or takes away what is there. Without `single` the answer is `false` although it acts.
pub(super) fn ear(id: u128, channel: &Channel, deaf: bool, silence: &str) -> Command {
    let command = Command::of(id, channel, "chan.attach");
    if deaf {
        command.with("override", silence).with("autorepeat", "true").with("single", "true")
    } else {
        command.with("override", "-").with("single", "true")
    }
}

impl Yate {
    /// Begins the next step of an order; if there is none left, the order is looked at.
    pub(super) fn go_on(&mut self, ticket: Ticket) {
        loop {
            let Some(running) = self.life.orders.get_mut(&ticket) else { return };
            let Some(step) = running.steps.pop_front() else {
                running.over = true;
                return self.steps_over(ticket);
            };
            if let Step::Begun(segment) = &step {
                let segment = segment.clone();
                running.current = None;
                return self.ask_begun(ticket, &segment);
            }
            let Some(make) = self.message(&step) else {
                // the leg is gone; what was to be done for its partner goes on
                let partner_only = matches!(step, Step::Ear { .. } | Step::Sound(..) | Step::Hush { .. });
                if partner_only || self.is_half_parked(ticket) {
                    continue;
                }
                return self.lost(ticket);
            };
            match self.ask(Purpose::Step(ticket), make) {
                Ok(id) => {
                    let effective = !matches!(step, Step::Look(_) | Step::Sound(..) | Step::Ear { .. });
                    if let Some(running) = self.life.orders.get_mut(&ticket) {
                        running.current = Some((id, step));
                        running.sent |= effective;
                    }
                    return;
                }
                Err(unfit) => {
                    self.forget_dialed(ticket);
                    return self.refuse(ticket, unfit_refusal(unfit));
                }
            }
        }
    }

    /// The message of a step; `None` if its leg is gone.
    fn message(&self, step: &Step) -> Option<Box<dyn FnOnce(u128) -> Command>> {
        let channel = |leg: &LegId| self.channel(*leg);
        let silence = self.sound(Sound::Silence);
        Some(match step {
            Step::Sound(leg, sound) => {
                let (channel, sound) = (channel(leg)?, self.sound(*sound));
                Box::new(move |id| ear(id, &channel, true, &sound))
            }
            Step::Ear { leg, deaf } => {
                let (channel, deaf) = (channel(leg)?, *deaf);
                Box::new(move |id| ear(id, &channel, deaf, &silence))
            }
            Step::Connect(a, b) => {
                let (a, b) = (channel(a)?, channel(b)?);
                Box::new(move |id| {
                    Command::new(id, Name::Connect).with("id", a).with("targetid", b).with("reason", JOINED)
                })
            }
            Step::Look(leg) => {
                let channel = channel(leg)?;
                Box::new(move |id| Command::new(id, Name::Status).with("module", channel))
            }
            Step::Gather { held, other } => {
                let (held, _) = (channel(held)?, channel(other)?);
                Box::new(move |id| {
                    Command::of(id, &held, "call.conference")
                        .with("room", format_args!("conf/ifbp-{id:032x}"))
                        .with("lonely", "true")
                })
            }
            Step::Place(leg, place) => {
                let (channel, callto) = (channel(leg)?, self.callto(*place));
                Box::new(move |id| {
                    Command::of(id, &channel, "call.execute")
                        .with("callto", callto)
                        .with("autorepeat", "true")
                })
            }
            Step::Room(leg, conference) => {
                let (channel, room) = (channel(leg)?, names::room(self.instance, conference));
                Box::new(move |id| {
                    Command::of(id, &channel, "call.execute")
                        .with("callto", format_args!("conf/{room}"))
                        .with("lonely", "true")
                        .with("maxusers", "1000")
                })
            }
            Step::Hush { leg, on } => {
                let Some(Peer::Room(inside, _)) = &self.life.legs.get(*leg)?.peer else { return None };
                let (inside, on) = (inside.clone(), *on);
                Box::new(move |id| Command::new(id, Name::Control).with("targetid", inside).with("mute", on))
            }
            Step::Recorder(leg, segment) => {
                let channel = channel(leg)?;
                let [says, hears] = match segment {
                    Some(segment) => names::files(segment)
                        .map(|file| format!("wave/record/{}/{file}", self.options.recordings)),
                    None => ["-".to_owned(), "-".to_owned()],
                };
                Box::new(move |id| {
                    Command::of(id, &channel, "chan.record").with("call", says).with("peer", hears)
                })
            }
            Step::Drop(leg, reason) => {
                let (channel, reason) = (channel(leg)?, *reason);
                Box::new(move |id| Command::drop(id, &channel, reason))
            }
            Step::Execute(dialing) => {
                let ready = self.execute(0, dialing);
                Box::new(move |id| ready.under(id))
            }
            Step::Begun(_) => return None,
        })
    }

    pub(super) fn callto(&self, place: Place) -> String {
        match (place, self.life.sounds) {
            (Place::Music, (_, Some(true))) => self.sound(Sound::Music),
            (_, (Some(true), _)) => self.sound(Sound::Silence),
            // what needs no file
            _ => "dumb/ifbus".to_owned(),
        }
    }

    /// The answer to the step an order is at.
    pub(super) fn stepped(&mut self, ticket: Ticket, id: u128, reply: &Reply<'_>) {
        if matches!(self.work(ticket), Some(Work::Dtmf { .. })) {
            return self.digit_answered(ticket, reply);
        }
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        if running.current.as_ref().is_none_or(|(current, _)| *current != id) {
            return;
        }
        let Some((_, step)) = running.current.take() else { return };
        match step {
            Step::Execute(dialing) => return self.dialed(ticket, &dialing, reply),
            Step::Look(leg) => self.learn_ordered(leg, reply),
            Step::Sound(leg, sound) => {
                if reply.masked {
                    return self.lost(ticket);
                }
                self.sound_proven(leg, sound, reply.processed);
            }
            Step::Ear { leg, deaf } => {
                if reply.processed
                    && let Some(known) = self.life.legs.get_mut(leg)
                {
                    known.deaf = Some(deaf);
                }
                // a mute that is not in force must not be taken for one
                if !reply.processed && (deaf || matches!(self.work(ticket), Some(Work::Mute { .. }))) {
                    return self.step_refused(ticket, reply, false);
                }
            }
            Step::Connect(..) if !reply.processed => return self.step_refused(ticket, reply, true),
            Step::Connect(a, b) => {
                self.keep_joined(a, b);
                self.unfence([a, b]);
            }
            Step::Gather { held, other } => {
                if !reply.processed {
                    return self.step_refused(ticket, reply, true);
                }
                self.gathered([held, other]);
            }
            Step::Place(leg, place) => {
                if !reply.processed {
                    if self.is_half_parked(ticket) {
                        return self.go_on(ticket);
                    }
                    return self.step_refused(ticket, reply, true);
                }
                self.placed(leg, place, &reply.text("peerid"));
            }
            Step::Room(leg, conference) => {
                if !reply.processed {
                    return self.step_refused(ticket, reply, false);
                }
                self.unfence([leg]);
                self.moved_to_room(leg, &reply.text("peerid"), conference);
            }
            Step::Recorder(leg, segment) => {
                if !reply.processed {
                    return self.step_refused(ticket, reply, false);
                }
                self.recorder_set(leg, segment);
            }
            Step::Hush { .. } if !reply.processed => return self.step_refused(ticket, reply, false),
            Step::Drop(leg, _) if !reply.processed => return self.gone_before(ticket, leg),
            Step::Hush { .. } | Step::Drop(..) | Step::Begun(_) => {}
        }
        self.go_on(ticket);
    }

    pub(super) fn work(&self, ticket: Ticket) -> Option<&Work> {
        Some(&self.life.orders.get(&ticket)?.work)
    }

    fn step_refused(&mut self, ticket: Ticket, reply: &Reply<'_>, gone: bool) {
        let leg_gone = self.work(ticket).is_some_and(|work| {
            work.legs().into_iter().any(|leg| self.life.legs.get(leg).is_none_or(|known| known.gone))
        });
        let refused = reply.refused(leg_gone || (gone && reply.text("error").is_empty()));
        if let Some(Work::Mute { leg, direction, on }) = self.work(ticket) {
            let (leg, direction, on) = (*leg, *direction, *on);
            self.muted(leg, direction, !on);
        }
        self.finish(ticket, Err(refused));
    }

    /// A leg of the order is gone.
    fn lost(&mut self, ticket: Ticket) {
        self.finish(ticket, Err(Refused { evidence: Evidence::NotDone, ..Refused::unsent(Why::NoSuchLeg) }));
    }

    /// A park whose first step was done goes on for the one who is left: it sits in a room alone.
    fn is_half_parked(&self, ticket: Ticket) -> bool {
        let Some(running) = self.life.orders.get(&ticket) else { return false };
        matches!(running.work, Work::Park { .. }) && running.sent && !running.steps.is_empty()
    }

    // ---- what the answers say --------------------------------------------------------------------------------------

    /// The status of a leg that an order asked for: nothing else moves it meanwhile, so it is the newest.
    fn learn_ordered(&mut self, leg: LegId, reply: &Reply<'_>) {
        if reply.text("id").is_empty() {
            return self.unknown(leg);
        }
        let peer = reply.text("peerid");
        self.learn_peer(leg, &peer);
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.stirred = false;
        }
    }

    fn sound_proven(&mut self, leg: LegId, sound: Sound, is_there: bool) {
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.deaf = None;
        }
        let (which, file) = match sound {
            Sound::Silence => (&mut self.life.sounds.0, "silence.slin"),
            Sound::Music => (&mut self.life.sounds.1, "music.slin"),
        };
        *which = Some(is_there);
        if !is_there {
            let text = format!("{}/{file} cannot be played: `ifbus setup yate`", self.options.sounds);
            self.warn("sounds", text);
        }
    }

    /// Joining does not take the fence away, and a pair would fall by it (sheet, section 14).
    fn unfence(&mut self, legs: impl IntoIterator<Item = LegId>) {
        for leg in legs {
            let Some(channel) = self.channel(leg) else { continue };
            let asked = self.ask(Purpose::Quiet, |id| {
                Command::new(id, Name::Control).with("targetid", channel).with("timeout", 0)
            });
            debug_assert!(asked.is_ok(), "a channel and a number are fit");
        }
    }

    /// Both are in a room of their own, for two steps.
    fn gathered(&mut self, legs: [LegId; 2]) {
        for leg in legs {
            if self.life.legs.get(leg).is_some_and(|known| known.partner().is_some()) {
                self.set_peer(leg, None);
            }
        }
    }

    pub(super) fn placed(&mut self, leg: LegId, place: Place, peer: &str) {
        self.set_peer(leg, Some(Peer::Place(peer.to_owned())));
        if place == Place::Music {
            if let Some(known) = self.life.legs.get_mut(leg) {
                known.music = Some(peer.to_owned());
            }
            self.note(leg, names::MUSIC, peer);
        }
    }

    // ---- the dial --------------------------------------------------------------------------------------------------

    fn dialed(&mut self, ticket: Ticket, dialing: &Dialing, reply: &Reply<'_>) {
        let leg = dialing.leg;
        if !reply.processed {
            return self.dial_refused(ticket, dialing, reply);
        }
        // on a placeholder that is a channel the id is told once, on `dumb/` twice
        let told = [reply.text("targetid"), reply.text("peerid")];
        let native = told.into_iter().filter(|id| !is_place(id)).find_map(|id| Channel::new(&id));
        let Some(native) = native else {
            return self.dial_refused(ticket, dialing, reply);
        };
        self.life.legs.name(leg, &native);
        let rumor = self.life.legs.get_mut(leg).and_then(|known| known.rumor.take());
        self.made(leg);
        if let Some(end) = rumor {
            self.ended(leg, &end);
        }
        if let Some(running) = self.life.orders.get_mut(&ticket) {
            running.over = true;
        }
        self.progress(ticket);
    }

    fn dial_refused(&mut self, ticket: Ticket, dialing: &Dialing, reply: &Reply<'_>) {
        // there is a leg all the same
        if self.life.legs.get(dialing.leg).is_some_and(|known| known.made) {
            return self.progress(ticket);
        }
        let error = reply.text("error");
        let bare = if dialing.routed { Cause::Unreachable } else { Cause::ServerFailure };
        match cause::of_error(&error) {
            Some(cause) => {
                let text = reply.text("reason");
                self.not_dialed(ticket, cause, if text.is_empty() { &error } else { &text });
            }
            // no word at all: the figures tell whether there was room for a call
            None => {
                let asked = self.ask(Purpose::Room(ticket, bare), |id| {
                    Command::new(id, Name::Status).with("details", "false")
                });
                debug_assert!(asked.is_ok(), "it has no value from outside");
            }
        }
    }

    pub(super) fn room_known(&mut self, ticket: Ticket, bare: Cause, reply: &Reply<'_>) {
        let figures = figures(&reply.value());
        let full = self.life.legs_max.is_some_and(|most| figures.sip.chans >= Some(most));
        if full || !figures.accepts {
            self.not_dialed(ticket, Cause::Congestion, "the server takes no more calls");
        } else {
            let text = if bare == Cause::Unreachable { "no route" } else { "refused without a word" };
            self.not_dialed(ticket, bare, text);
        }
    }

    fn not_dialed(&mut self, ticket: Ticket, cause: Cause, text: &str) {
        self.forget_dialed(ticket);
        let said = Some(Said::new(None, text));
        self.finish(ticket, Err(Refused { why: Why::Refused, cause, evidence: Evidence::NotDone, said }));
    }

    /// A leg that was never made is no leg.
    pub(super) fn forget_dialed(&mut self, ticket: Ticket) {
        if let Some(Work::Dial { leg }) = self.work(ticket) {
            let leg = *leg;
            if self.life.legs.get(leg).is_some_and(|known| !known.made) {
                self.life.legs.remove(leg);
                self.life.timers.disarm(Timer::Ring(leg));
            }
        }
    }

    /// Every step was answered.
    fn steps_over(&mut self, ticket: Ticket) {
        match self.work(ticket) {
            Some(Work::Mute { leg, direction, on }) => {
                let event = Event::Muted(*leg, *direction, *on);
                self.tell(event);
                self.finish(ticket, Ok(Done::Proven));
            }
            Some(Work::Record { .. } | Work::StopRecord { .. }) => self.finish(ticket, Ok(Done::Proven)),
            _ => self.progress(ticket),
        }
    }
}
