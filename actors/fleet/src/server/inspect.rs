//! Testing a server: what its adapter finds on a good link, or why there is no link.

use std::time::Duration;

use ifbus_adapters::adapter::{DownReason, LinkError};
use ifbus_call::{Done, Finding, Nanos, Order, Outcome, Verdict};
use ifbus_supervision::{Answer, World};

use super::{Purpose, Server, at};
use crate::view::TestReport;

impl Server {
    /// A server that is not connected is tried for at once, so that a test tells of now and not of the last try.
    pub(super) fn inspect(&mut self, answer: Answer<TestReport>, world: &mut World<Self>) {
        let (began, now) = (world.now(), at(world));
        if self.condition.takes_calls() {
            self.give(Order::Inspect, Purpose::Inspect(began, answer), now);
        } else {
            self.inspections.push((began, answer));
            self.try_now(world);
        }
    }

    /// The links came up: those who wait get their inspection.
    pub(super) fn inspect_those_waiting(&mut self, now: Nanos) {
        for (began, answer) in std::mem::take(&mut self.inspections) {
            self.give(Order::Inspect, Purpose::Inspect(began, answer), now);
        }
    }

    /// The links did not come up: those who wait are told why.
    pub(super) fn cannot_inspect(&mut self, reason: &DownReason, why: &str, now: Nanos) {
        let (name, kind, host) = (&self.spec.name, self.spec.kind, &self.spec.settings.host);
        let port = self.view().port;
        let reachable = !matches!(reason, DownReason::Unreachable(why) if !matches!(why, LinkError::Tls(_)));
        let fix = match reason {
            DownReason::LoginRefused(_) => {
                format!(
                    "check user and secret: ifbus add sip {name} {kind} --host {host} --auth user=...,secret=prompt"
                )
            }
            DownReason::Unreachable(LinkError::Tls(_)) => format!(
                "who is at {host}:{port}? if the certificate is the right one: ifbus remove sip {name}, then add it again, or set tls=pin:SHA256"
            ),
            DownReason::Silent(_) => format!(
                "a port that waits for TLS is silent like this (tls=pin), and so is a server that is frozen: look at {host}:{port}"
            ),
            _ => format!("check that {host}:{port} listens and lets this host in: ifbus setup {kind}"),
        };
        let line = |area: &str, verdict, text: &str, fix| Finding {
            area: area.to_owned(),
            verdict,
            text: text.to_owned(),
            fix,
        };
        for (began, answer) in std::mem::take(&mut self.inspections) {
            let findings = vec![
                line("management", Verdict::Fail, why, Some(fix.clone())),
                line("everything else", Verdict::Skip, "needs the management interface", None),
            ];
            let took_s = now.since_start().saturating_sub(began).as_secs_f64();
            answer.give(TestReport { server: name.clone(), ok: false, reachable, findings, took_s });
        }
    }

    pub(super) fn inspected(
        &mut self,
        outcome: Outcome,
        began: Duration,
        answer: Answer<TestReport>,
        now: Nanos,
    ) {
        let findings = match outcome {
            Ok(Done::Inspected(findings)) => findings,
            Ok(_) => Vec::new(),
            Err(refused) => vec![Finding {
                area: "management".to_owned(),
                verdict: Verdict::Fail,
                text: refused.to_string(),
                fix: Some(format!("try again: ifbus test sip {}", self.spec.name)),
            }],
        };
        let ok = findings.iter().all(|finding| finding.verdict != Verdict::Fail);
        let took_s = now.since_start().saturating_sub(began).as_secs_f64();
        answer.give(TestReport { server: self.spec.name.clone(), ok, reachable: true, findings, took_s });
    }
}
