//! From a score to the exact samples at which keys go down and up. Pure: no device, no clock.
