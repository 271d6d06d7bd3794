//! Addresses: their canonical form and its hash, the scope of a crawl, and the traps that sites set.

mod addresses;
mod canonical;
mod fingerprint;
mod form;
mod join;
mod parts;
mod private;
mod scope;
mod session;
mod shape;
mod traps;

pub use ::url::Url;
pub(crate) use addresses::Hashed;
pub use addresses::{Addresses, Base, Target};
pub use canonical::canonical;
pub use fingerprint::{Fingerprint, Fingerprints};
pub(crate) use parts::Parts;
pub use parts::host_key;
pub use private::{is_private, is_private_host};
pub use scope::{Scope, ScopeError};
pub use shape::check_shape;
pub use traps::{TrapLimits, Traps};
