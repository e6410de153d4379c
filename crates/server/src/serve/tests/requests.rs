//! Requests whose clients do not wait for their end.

use super::{DEADLINE, House, SHORT, patient};
use crate::listener::Limits;

#[tokio::test]
async fn a_client_that_goes_away_does_not_cut_off_its_request() {
    let house = House::open(patient()).await;
    let mut peer = house.peer().await;
    peer.get("/gate").await;
    house.probe.has_begun(1).await;
    drop(peer);
    // The end of the server waits for it, too.
    let probe = house.probe;
    let mut stop = tokio::spawn(house.server.stop());
    assert!(tokio::time::timeout(SHORT, &mut stop).await.is_err());
    probe.gate.add_permits(1);
    tokio::time::timeout(DEADLINE, stop).await.unwrap().unwrap();
    assert_eq!(probe.done(), 1);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_and_goes_on() {
    let house = House::open(Limits {
        time: SHORT * 4,
        ..patient()
    })
    .await;
    let mut peer = house.peer().await;
    let answer = peer.ask("/gate").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.contains("the request took too long"), "{answer}");
    house.probe.gate.add_permits(1);
    drop(peer);
    house.is_empty().await;
    assert_eq!(house.probe.done(), 1);
}

#[tokio::test]
async fn what_nobody_waits_for_ends_all_the_same() {
    let house = House::open(Limits {
        time: SHORT,
        ..patient()
    })
    .await;
    let mut peer = house.peer().await;
    peer.get("/gate").await;
    house.probe.has_begun(1).await;
    drop(peer);
    house.is_empty().await;
    assert_eq!(house.probe.done(), 0);
}
