//! Metrics that are read off the board when somebody asks: how each server stands now.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ifbus_call::{Interface, ServerName};
use ifbus_fleet::Board;
use ifbus_fleet::view::{CallView, ServerState, ServerView, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// Interfaces, as labels.
pub(super) const INTERFACES: [&str; 3] =
    [Interface::Management.as_str(), Interface::Events.as_str(), Interface::Sip.as_str()];
const PHASES: [&str; 4] = ["ringing", "answered", "held", "foreign"];

/// Reads the board at each scrape.
#[derive(Debug)]
pub(super) struct Servers {
    board: Arc<Board>,
}

impl Servers {
    pub(super) const fn new(board: Arc<Board>) -> Self {
        Self { board }
    }
}

impl Collector for Servers {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let servers = self.board.servers();
        let calls = phases(&self.board.calls());
        gauges(
            &mut to,
            "ifbus_server_up",
            "Whether an interface answers",
            servers.iter().flat_map(|s| up(s)),
        )?;
        gauges(
            &mut to,
            "ifbus_server_state",
            "1 for the state it is in",
            servers.iter().flat_map(|s| states(s)),
        )?;
        let in_phase = |server: &Arc<ServerView>| {
            let mut counts = calls.get(&server.name).copied().unwrap_or_default();
            counts[3] = i64::from(server.foreign);
            let (name, kind) = (server.name.to_string(), server.kind.as_str());
            PHASES.into_iter().zip(counts).map(move |(phase, count)| {
                (
                    vec![("server", name.clone()), ("kind", kind.to_owned()), ("phase", phase.to_owned())],
                    count,
                )
            })
        };
        gauges(
            &mut to,
            "ifbus_server_calls",
            "Calls of ours by phase, and foreign legs",
            servers.iter().flat_map(in_phase),
        )?;
        let capacity = |server: &Arc<ServerView>| {
            (vec![("server", server.name.to_string())], i64::from(server.capacity))
        };
        gauges(
            &mut to,
            "ifbus_server_capacity_calls",
            "The most calls of ours it gets",
            servers.iter().map(capacity),
        )
    }
}

type Sample = (Vec<(&'static str, String)>, i64);

fn gauges(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl Iterator<Item = Sample>,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        encode(&labels, value, &mut family)?;
    }
    Ok(())
}

fn encode(
    labels: &impl EncodeLabelSet,
    value: i64,
    family: &mut prometheus_client::encoding::MetricEncoder<'_>,
) -> fmt::Result {
    ConstGauge::new(value).encode(family.encode_family(labels)?)
}

/// An interface that was not probed yet answers if the server is connected.
fn up(server: &ServerView) -> Vec<Sample> {
    let connected = !matches!(server.state, ServerState::Down | ServerState::Connecting);
    let one = |interface: &'static str| {
        let probed = server.interfaces.iter().find(|seen| seen.interface == interface);
        let up = connected && probed.is_none_or(|seen| seen.up);
        let labels = vec![
            ("server", server.name.to_string()),
            ("kind", server.kind.as_str().to_owned()),
            ("interface", interface.to_owned()),
        ];
        (labels, i64::from(up))
    };
    INTERFACES.into_iter().map(one).collect()
}

fn states(server: &ServerView) -> Vec<Sample> {
    let one = |state: ServerState| {
        let labels = vec![("server", server.name.to_string()), ("state", state.as_str().to_owned())];
        (labels, i64::from(state == server.state))
    };
    ServerState::ALL.into_iter().map(one).collect()
}

/// Living calls by server: ringing (queued ones included), answered, held.
fn phases(calls: &[Arc<CallView>]) -> BTreeMap<ServerName, [i64; 4]> {
    let mut counts: BTreeMap<ServerName, [i64; 4]> = BTreeMap::new();
    for call in calls.iter().filter(|call| !call.status.is_terminal()) {
        let Some(server) = &call.server else { continue };
        let phase = match call.status {
            Status::InProgress if call.held => 2,
            Status::InProgress => 1,
            _ => 0,
        };
        counts.entry(server.clone()).or_default()[phase] += 1;
    }
    counts
}
