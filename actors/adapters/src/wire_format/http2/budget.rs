//! How much a peer may talk without saying anything: floods of frames that cost us and bring nothing end it.

use super::Broken;

/// So many frames may come without a whole request.
const FRAMES_MAX: u32 = 1000;
/// What a whole request gives back.
const REQUEST: u32 = 20;
/// What a stream that is opened and taken back costs.
const RESET: u32 = 10;

/// What is left.
#[derive(Debug)]
pub(super) struct Budget(u32);

impl Default for Budget {
    fn default() -> Self {
        Self(FRAMES_MAX)
    }
}

impl Budget {
    pub(super) fn frame(&mut self) -> Result<(), Broken> {
        self.spend(1)
    }

    pub(super) fn reset(&mut self) -> Result<(), Broken> {
        self.spend(RESET)
    }

    pub(super) fn request(&mut self) {
        self.0 = (self.0 + REQUEST).min(FRAMES_MAX);
    }

    fn spend(&mut self, cost: u32) -> Result<(), Broken> {
        self.0 = self.0.saturating_sub(cost);
        if self.0 > 0 { Ok(()) } else { Err(Broken::Limit("frames without a request")) }
    }
}
