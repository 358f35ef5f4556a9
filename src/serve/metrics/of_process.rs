//! The standard metrics of a process, read from the system when somebody asks. Where it does not tell, they are absent.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Ticks of the processor clock in a second and bytes in a page, as Linux shows them to programs on every machine we
/// run on.
const TICKS: f64 = 100.0;
const PAGE_BYTES: i64 = 4096;

/// Reads `/proc` at each scrape.
#[derive(Debug)]
pub(super) struct Process {
    started: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        let uptime = number(&read("/proc/uptime"), 0).unwrap_or_default();
        let age = stat(21).map_or(0.0, |ticks| (uptime - ticks / TICKS).max(0.0));
        Self { started: now - age }
    }
}

impl Collector for Process {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        if let (Some(user), Some(system)) = (stat(13), stat(14)) {
            let seconds = ConstCounter::new((user + system) / TICKS);
            let help = "Processor time used";
            seconds.encode(to.encode_descriptor(
                "process_cpu",
                help,
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?)?;
        }
        if let Some(pages) =
            read("/proc/self/statm").split(' ').nth(1).and_then(|pages| pages.parse::<i64>().ok())
        {
            let bytes = ConstGauge::new(pages * PAGE_BYTES);
            let help = "Memory held";
            let unit = Some(&Unit::Bytes);
            bytes.encode(to.encode_descriptor(
                "process_resident_memory",
                help,
                unit,
                MetricType::Gauge,
            )?)?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let open = ConstGauge::new(i64::try_from(open.count()).unwrap_or(i64::MAX));
            open.encode(to.encode_descriptor("process_open_fds", "Open files", None, MetricType::Gauge)?)?;
        }
        let started = ConstGauge::new(self.started);
        let (name, help) = ("process_start_time", "Start, in seconds after 1970");
        started.encode(to.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?)
    }
}

/// A field of `/proc/self/stat`, counted from 0; the name of the program may hold blanks, so fields begin behind it.
fn stat(field: usize) -> Option<f64> {
    let text = read("/proc/self/stat");
    let (_, fields) = text.rsplit_once(") ")?;
    number(fields, field - 2)
}

fn number(text: &str, field: usize) -> Option<f64> {
    text.split_ascii_whitespace().nth(field)?.parse().ok()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
