//! When a request may start: per host in flight, delays, throttling, retries. Pure: events and a clock in, actions out.
