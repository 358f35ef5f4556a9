//! What the stack tells, and what it means for a leg.
//!
//! Events may come late or twice: a ringing after the answer counts for nothing (sheet sip-3pcc, section 6), and an event
//! of a leg that is over finds none.

use ifbus_call::{By, Cause, Event, LegId, Said};

use super::agent::{Agent, Asked, Due, Standing};
use super::dialog::{Progress, Wire};
use super::event::{Ended, Reply, Session, SipEvent};
use super::sdp::Sdp;
use crate::adapter::{LinkError, Output};

impl Agent {
    pub(super) fn hear(&mut self, event: SipEvent) {
        match event {
            SipEvent::Opened { contact } => self.opened(&contact),
            SipEvent::AnchorOpened { contact } => self.anchor_contact = Some(contact),
            SipEvent::Invited { token, user, wire, sdp } => {
                self.invited(token, &user, *wire, sdp.as_deref());
            }
            SipEvent::Closed(why) => self.closed(why),
            SipEvent::Provisional { leg, code, media } => self.provisional(leg, code, media),
            SipEvent::Up { leg, sdp, session } => self.up(leg, &sdp, session),
            SipEvent::Rejected { leg, reply } => self.rejected(leg, &reply),
            SipEvent::Replied { leg: _, number, reply } => self.replied(number, &reply),
            SipEvent::PeerOffer { leg, token, sdp, session } => {
                self.lives(leg);
                self.take_session(leg, session);
                self.peer_offer(leg, token, sdp.as_deref());
            }
            SipEvent::PeerAnswer { leg, sdp } => self.peer_answer(leg, &sdp),
            SipEvent::PeerInfo { leg, kind, body } => self.peer_info(leg, &kind, &body),
            SipEvent::Ended { leg, ended, reason } => self.ended(leg, ended, reason),
            SipEvent::Changed(leg, wire) => self.changed(leg, *wire),
            SipEvent::Referred { leg, token, to } => {
                self.lives(leg);
                self.referred(leg, token, &to);
            }
            // no order of ours sends REFER: all legs of a transfer are ours
            SipEvent::Notify { .. } => {}
            SipEvent::Trouble { code, text } => self.warn(code, text),
        }
    }

    fn opened(&mut self, contact: &str) {
        if self.standing != Standing::Opening {
            return;
        }
        self.standing = Standing::Open;
        // `host:port`, or `[host]:port`
        let host = contact.rsplit_once(':').map_or(contact, |(host, _)| host);
        host.trim_matches(['[', ']']).clone_into(&mut self.host);
        let legs: Vec<(LegId, Progress)> =
            self.legs.iter().map(|(leg, known)| (*leg, known.dialog.progress)).collect();
        for (leg, progress) in legs {
            match progress {
                // nobody waits for this answer any more; a late one is acknowledged and ended (promise 4)
                Progress::Dialing | Progress::Ringing => self.end(leg, None),
                // whom it was called for has not got it any more, or not yet
                Progress::Up if self.is_lost_guest(leg) => self.end(leg, None),
                Progress::Up => self.watch(leg),
                Progress::Ending => {
                    if let Some(known) = self.legs.get_mut(&leg) {
                        known.dialog.progress = Progress::Up;
                    }
                    self.end(leg, None);
                }
            }
        }
    }

    fn closed(&mut self, why: LinkError) {
        if matches!(self.standing, Standing::Opening | Standing::Open) {
            let now = self.now;
            self.release_orders(now);
            self.standing = Standing::Failed(why);
            self.quiet();
        }
    }

    // ---- an invitation ----------------------------------------------------------------------------------------------

    fn provisional(&mut self, leg: LegId, code: u16, media: bool) {
        let Some(known) = self.legs.get(&leg) else { return };
        if matches!(known.dialog.progress, Progress::Up | Progress::Ending) {
            return;
        }
        self.made(leg);
        let Some(known) = self.legs.get_mut(&leg) else { return };
        let rings = matches!(code, 180..=183) && !known.past.rang;
        if rings && code != 183 {
            known.past.rang = true;
            known.dialog.progress = Progress::Ringing;
            self.out.push_back(Output::Event(Event::Ringing(leg)));
            self.write_down(leg, Vec::new());
        } else if media && !known.early {
            known.early = true;
            known.past.rang = true;
            self.out.push_back(Output::Event(Event::EarlyMedia(leg)));
        }
    }

    /// The server has made the leg.
    fn made(&mut self, leg: LegId) {
        let Some(known) = self.legs.get_mut(&leg) else { return };
        if !std::mem::replace(&mut known.tried, true) {
            self.timers.disarm(Due::Trying(leg));
            self.out.push_back(Output::Event(Event::Started(leg)));
            if let Some(ticket) = self.dial_of(leg) {
                self.done(ticket);
            }
        }
    }

    fn up(&mut self, leg: LegId, text: &str, session: Option<Session>) {
        let Some(known) = self.legs.get(&leg) else { return };
        if matches!(known.dialog.progress, Progress::Up | Progress::Ending) {
            return;
        }
        self.made(leg);
        let Some(known) = self.legs.get_mut(&leg) else { return };
        known.dialog.progress = Progress::Up;
        let unwanted = known.past.dropped || known.past.timed_out;
        let readable = Sdp::parse(text);
        if let Ok(said) = &readable {
            known.learn(said, text, true);
        }
        self.timers.disarm(Due::Ring(leg));
        self.timers.disarm(Due::Canceled(leg));
        if unwanted {
            // it crossed our CANCEL
            return self.end(leg, Some((16, "canceled")));
        }
        if let Err(bad) = readable {
            self.warn(
                "sip_answer",
                format!("{leg}: answered with a description that cannot be handed on: {bad}"),
            );
            return self.end(leg, Some((47, "no description")));
        }
        if let Some(known) = self.legs.get_mut(&leg) {
            known.past.answered = true;
        }
        self.write_down(leg, Vec::new());
        self.out.push_back(Output::Event(Event::Answered(leg)));
        self.take_session(leg, session);
        self.watch(leg);
        self.guest_answered(leg);
    }

    // ---- inside a dialog --------------------------------------------------------------------------------------------

    fn replied(&mut self, number: u64, reply: &Reply) {
        match self.asked.remove(&number) {
            Some(Asked::Offer(leg)) => self.offer_replied(leg, number, reply),
            Some(Asked::Digit(ticket)) => self.digit_replied(ticket, reply),
            Some(Asked::Alive(leg)) => self.alive_replied(leg, reply),
            Some(Asked::Probe(ticket, since)) => self.probe_replied(ticket, since, reply),
            Some(Asked::Told(leg, ends)) if ends => self.end(leg, Some((16, "transferred"))),
            Some(Asked::Told(..)) => {}
            None => {}
        }
    }

    fn peer_info(&mut self, leg: LegId, kind: &str, body: &str) {
        if !self.legs.contains_key(&leg) {
            return;
        }
        let text = match kind {
            "application/dtmf-relay" => body.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
            }),
            "application/dtmf" => Some(body.trim()),
            _ => None,
        };
        let digit = match text {
            Some("10") => Some('*'),
            Some("11") => Some('#'),
            Some(text) if text.len() == 1 => text.chars().next().map(|digit| digit.to_ascii_uppercase()),
            _ => None,
        };
        if let Some(digit @ ('0'..='9' | 'A'..='D' | '*' | '#')) = digit {
            self.out.push_back(Output::Event(Event::Digit(leg, digit)));
        }
    }

    fn ended(&mut self, leg: LegId, ended: Ended, reason: Option<(u16, String)>) {
        let Some(known) = self.legs.get(&leg) else { return self.stranger_ended(leg) };
        if known.vanished || ended == Ended::Unknown && !known.past.dropped {
            return self.over(leg, Event::Vanished(leg));
        }
        let was_up = matches!(known.dialog.progress, Progress::Up | Progress::Ending);
        let cause = match was_up {
            _ if known.because.is_some() => known.because.unwrap_or(Cause::ServerFailure),
            _ if known.past.timed_out => Cause::NoAnswer,
            // an answer that crossed our CANCEL
            _ if known.past.dropped && !known.past.answered => Cause::Canceled,
            true => Cause::Answered,
            false => Cause::ServerFailure,
        };
        let by = match ended {
            Ended::ByPeer => By::Party,
            Ended::ByUs | Ended::Unknown => By::Us,
        };
        let said = reason.map_or_else(|| Said::new(None, ""), |(code, text)| Said::new(Some(code), &text));
        self.over(leg, Event::Ended { leg, cause, by, said });
    }

    fn changed(&mut self, leg: LegId, wire: Wire) {
        if let Some(known) = self.legs.get_mut(&leg)
            && known.dialog.wire != wire
        {
            if known.dialog.wire.call_id != wire.call_id {
                self.by_call_id.remove(&known.dialog.wire.call_id);
                self.by_call_id.insert(wire.call_id.clone(), leg);
            }
            known.dialog.wire = wire;
            self.write_down(leg, Vec::new());
        }
    }
}
