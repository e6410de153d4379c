//! Servers on free ports, peers, faults and load for tests.
