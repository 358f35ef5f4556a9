//! The dialplan: contexts, extensions, priorities. Data only; [`super::run`] executes it.

use std::collections::BTreeMap;

use super::channels::Place;
use super::options::Style;

/// One priority of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) label: Option<&'static str>,
    pub(super) app: String,
    pub(super) data: String,
}

type Extension = BTreeMap<u32, Step>;

/// All contexts. Within one, plain extensions come before patterns, as `ShowDialPlan` lists them.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialplan {
    contexts: BTreeMap<String, BTreeMap<(bool, String), Extension>>,
}

impl Dialplan {
    /// The laboratory's dialplan, as far as the double can run it; without the context `ifbus` when
    /// `ready` is false.
    pub(super) fn lab(ready: bool, style: Style) -> Self {
        let mut plan = Dialplan::default();
        let asks_first = ("Gosub", "ifbus-inbound,s,1");
        let phone = format!("{}/${{EXTEN}},30,tT", style.tech);
        for context in [style.inside, "from-trunk"] {
            plan.extension(context, "_XXXX", &[asks_first, ("Dial", &phone), ("Hangup", "")]);
        }
        plan.extension(style.inside, "602", &[("Answer", ""), ("MusicOnHold", "default")]);
        plan.extension(style.inside, "604", &[("Answer", ""), ("Wait", "3600")]);
        plan.extension(
            "from-trunk",
            "_6XX",
            &[asks_first, ("Goto", &format!("{},${{EXTEN}},1", style.inside))],
        );
        let inbound = [("GotoIf", "$[\"${IFBUS_DRAIN}\" = \"yes\"]?full"), ("Return", ""), ("Hangup", "42")];
        plan.extension("ifbus-inbound", "s", &inbound);
        plan.label("ifbus-inbound", "s", 3, "full");
        if ready {
            plan.ready();
        }
        plan
    }

    fn ready(&mut self) {
        const MUSIC: &str = "${IF($[\"${IFBUS_MOH}\"=\"\"]?default:${IFBUS_MOH})},86400";
        self.extension("ifbus", "hold", &[("Answer", ""), ("MusicOnHold", MUSIC), ("Hangup", "16")]);
        self.extension("ifbus", "wait", &[("Answer", ""), ("Wait", "150"), ("Hangup", "16")]);
        self.extension("ifbus", "park", &[("Answer", ""), ("Wait", "86400"), ("Hangup", "16")]);
        let consult = [("Answer", ""), ("Wait", "86400"), ("Wait", "120"), ("Hangup", "16")];
        self.extension("ifbus", "consult", &consult);
        let ringback = [("Answer", ""), ("Playtones", "ring"), ("Wait", "150"), ("Hangup", "16")];
        self.extension("ifbus", "ringback", &ringback);
        self.extension("ifbus", "stay", &[("Answer", ""), ("Wait", "86400"), ("Goto", "loop")]);
        self.label("ifbus", "stay", 2, "loop");
        let room = [
            ("Answer", ""),
            ("Set", "CONFBRIDGE(user,quiet)=yes"),
            ("Set", "CONFBRIDGE(user,announce_only_user)=no"),
            ("Set", "CONFBRIDGE(user,dtmf_passthrough)=yes"),
            ("ConfBridge", "${EXTEN:5}"),
            ("Hangup", "16"),
        ];
        self.extension("ifbus", "_co[n]f-.", &room);
    }

    fn label(&mut self, context: &str, exten: &str, priority: u32, label: &'static str) {
        if let Some(step) = self.step_mut(context, exten, priority) {
            step.label = Some(label);
        }
    }

    fn extension(&mut self, context: &str, exten: &str, steps: &[(&str, &str)]) {
        for (priority, (app, data)) in (1..).zip(steps) {
            self.add(context, exten, priority, app, data);
        }
    }

    /// Sets one priority.
    pub(super) fn add(&mut self, context: &str, exten: &str, priority: u32, app: &str, data: &str) {
        let step = Step { label: None, app: app.to_owned(), data: data.to_owned() };
        let key = (exten.starts_with('_'), exten.to_owned());
        self.contexts.entry(context.to_owned()).or_default().entry(key).or_default().insert(priority, step);
    }

    /// The names of all contexts.
    pub(super) fn contexts(&self) -> impl Iterator<Item = &str> {
        self.contexts.keys().map(String::as_str)
    }

    /// Whether exactly this extension has exactly this priority.
    pub(super) fn has(&self, context: &str, exten: &str, priority: u32) -> bool {
        let key = (exten.starts_with('_'), exten.to_owned());
        self.contexts.get(context).and_then(|c| c.get(&key)).is_some_and(|e| e.contains_key(&priority))
    }

    fn step_mut(&mut self, context: &str, exten: &str, priority: u32) -> Option<&mut Step> {
        self.contexts.get_mut(context)?.get_mut(&(false, exten.to_owned()))?.get_mut(&priority)
    }

    /// The extension that `exten` leads to, by name or by pattern.
    fn find(&self, context: &str, exten: &str) -> Option<&Extension> {
        let context = self.contexts.get(context)?;
        context.get(&(false, exten.to_owned())).or_else(|| {
            context
                .iter()
                .find(|((pattern, name), _)| *pattern && matches(&name[1..], exten))
                .map(|(_, extension)| extension)
        })
    }

    /// The step to run.
    pub(super) fn step(&self, context: &str, exten: &str, priority: u32) -> Option<Step> {
        self.find(context, exten)?.get(&priority).cloned()
    }

    /// What `label`, or `context,exten,priority`, means at a place.
    pub(super) fn place(&self, here: &Place, target: &str) -> Option<Place> {
        if let [context, exten, priority] = target.split(',').collect::<Vec<_>>()[..] {
            let priority = priority.parse().ok()?;
            return Some(Place { context: context.to_owned(), exten: exten.to_owned(), priority });
        }
        let extension = self.find(&here.context, &here.exten)?;
        let (priority, _) = extension.iter().find(|(_, step)| step.label == Some(target))?;
        Some(Place { priority: *priority, ..here.clone() })
    }

    /// Whether a call may be sent to this place.
    pub(super) fn exists(&self, context: &str, exten: &str, priority: u32) -> bool {
        self.step(context, exten, priority).is_some()
    }

    /// All steps of a context (or of one extension in it): name, priority, step. `None`: no such context.
    pub(super) fn list(&self, context: &str, exten: Option<&str>) -> Option<Vec<(&str, u32, &Step)>> {
        let context = self.contexts.get(context)?;
        let extensions = context.iter().filter(|((_, name), _)| exten.is_none_or(|wanted| wanted == name));
        Some(
            extensions
                .flat_map(|((_, name), steps)| steps.iter().map(move |(p, step)| (name.as_str(), *p, step)))
                .collect(),
        )
    }

    /// Everything that was added at run time is lost: what a reload of `pbx_config` does.
    pub(super) fn reload(&mut self, ready: bool, style: Style) {
        *self = Dialplan::lab(ready, style);
    }
}

/// Asterisk's pattern language, as far as the laboratory uses it: X, Z, N, [set], a final dot.
fn matches(pattern: &str, exten: &str) -> bool {
    let mut digits = exten.chars();
    let mut rest = pattern.chars();
    while let Some(letter) = rest.next() {
        if letter == '.' {
            return digits.next().is_some();
        }
        let Some(digit) = digits.next() else { return false };
        let fits = match letter.to_ascii_uppercase() {
            'X' => digit.is_ascii_digit(),
            'Z' => ('1'..='9').contains(&digit),
            'N' => ('2'..='9').contains(&digit),
            '[' => rest.by_ref().take_while(|c| *c != ']').collect::<Vec<_>>().contains(&digit),
            _ => letter == digit,
        };
        if !fits {
            return false;
        }
    }
    digits.next().is_none()
}
