//! `ifbus transfer`: blind, attended, complete, cancel.

use ifbus_call::Address;

use super::act::Act;
use super::errors::Failure;
use super::grammar::TransferArgs;
use super::words::{Party, Words};

/// Another party takes the place of the one that transfers.
pub fn transfer(args: &TransferArgs) -> Result<Act, Failure> {
    if args.complete || args.cancel {
        let words = Words::sort("transfer", &args.words, &["call_id"])?;
        return match args.complete {
            true => finish("transfer/complete", &words, "transferred"),
            false => finish("transfer/cancel", &words, "transfer taken back"),
        };
    }
    let words = Words::sort("transfer", &args.words, &["call_id", "to", "leg"])?;
    let to: Address = words.need("transfer", "to")?;
    let leg: Option<Party> = words.get("leg")?;
    let says = if args.attended { format!("{to} is being asked") } else { format!("transferred to {to}") };
    let mut act = Act::new("transfer", &words, Some(says))?;
    if args.attended {
        act.next = Some(("ifbus transfer sip", " --complete (or --cancel)"));
    }
    let mode = if args.attended { "attended" } else { "blind" };
    let act = act.field("to", Some(to.to_string())).field("mode", Some(mode.to_owned()));
    Ok(act.field("leg", leg.map(|leg| leg.0)))
}

fn finish(path: &'static str, words: &Words, says: &str) -> Result<Act, Failure> {
    let mut act = Act::new("transfer", words, Some(says.to_owned()))?;
    act.path = path;
    Ok(act)
}
