//! The storage backends from outside.

#[cfg(test)]
mod memory;
#[cfg(test)]
mod model;
#[cfg(test)]
mod raft;
